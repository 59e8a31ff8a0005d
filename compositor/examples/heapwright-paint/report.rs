//! What the client got, for people and for programs.

use std::{fmt, time::Duration};

use serde::Serialize;

/// What the client got.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// `linux-dmabuf` or `wl_shm`.
    pub path: String,
    /// Why this path, and this heap.
    pub why: String,
    /// Id of the heap.
    pub heap: String,
    /// Fourcc as text.
    pub format: String,
    /// Modifier by name.
    pub modifier: String,
    /// Bytes a row.
    pub pitch: u64,
    /// Pixels, `WxH`.
    pub size: String,
    /// Buffers in turn.
    pub buffers: usize,
    /// Commits made.
    pub committed: u64,
    /// Frames that reached the screen.
    pub presented: u64,
    /// Frames the display read from the client's own buffer.
    pub zero_copy: u64,
    /// Frames that were replaced before they were shown.
    pub discarded: u64,
    /// Number of the first frame (from 1) from which on every frame was zero-copy; 0 if the last was not.
    pub zero_copy_since: u64,
    /// Median time from commit to screen, milliseconds.
    pub latency_median_ms: f64,
    /// 99th percentile of it.
    pub latency_p99_ms: f64,
    /// Presented frames a second, from the first to the last.
    pub fps: f64,
    /// When the first frame reached the screen, milliseconds of the presentation clock.
    pub first_presented_ms: f64,
    /// The presentation clock, as `clock_gettime` numbers it.
    pub clock: Option<u32>,
    /// Feedback rounds received.
    pub feedback_rounds: u32,
    /// Whether the feedback ever had a scan-out tranche.
    pub scanout_tranche: bool,
}

impl Report {
    /// Takes one presented frame into account, shown `at` this time of the presentation clock.
    pub fn frame(&mut self, zero_copy: bool, at: Duration) {
        self.presented += 1;
        let at = at.as_secs_f64() * 1e3;
        if self.presented == 1 {
            self.first_presented_ms = at;
        } else if at > self.first_presented_ms {
            self.fps = (self.presented - 1) as f64 * 1e3 / (at - self.first_presented_ms);
        }
        if zero_copy {
            self.zero_copy += 1;
            if self.zero_copy_since == 0 {
                self.zero_copy_since = self.presented;
            }
        } else {
            self.zero_copy_since = 0;
        }
    }

    /// Sums up the latencies.
    pub fn latencies(&mut self, mut latencies: Vec<Duration>) {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies
                .get(index.min(latencies.len().saturating_sub(1)))
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        self.latency_median_ms = at(0.5);
        self.latency_p99_ms = at(0.99);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "path        {} ({})", self.path, self.why)?;
        writeln!(f, "heap        {}", self.heap)?;
        writeln!(
            f,
            "buffers     {} of {} {} {}, pitch {}",
            self.buffers, self.size, self.format, self.modifier, self.pitch
        )?;
        writeln!(
            f,
            "frames      {} presented, {:.1} a second, {} discarded",
            self.presented, self.fps, self.discarded
        )?;
        match self.zero_copy_since {
            0 => writeln!(f, "zero-copy   {}", self.zero_copy)?,
            since => writeln!(f, "zero-copy   {}, every frame since number {since}", self.zero_copy)?,
        }
        let tranche = if self.scanout_tranche { "with" } else { "without" };
        writeln!(f, "feedback    {} rounds, {tranche} a scan-out tranche", self.feedback_rounds)?;
        writeln!(
            f,
            "latency     {:.1} ms median, {:.1} ms p99, commit to screen",
            self.latency_median_ms, self.latency_p99_ms
        )
    }
}
