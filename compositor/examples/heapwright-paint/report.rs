//! What the client got, for people and for programs.

use std::{fmt, time::Duration};

use heapwright_client::{Buffers, Outcome};
use serde::Serialize;

/// What the client got.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// `linux-dmabuf` or `wl_shm`, or `negotiated`.
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
    /// Sizes that the window had, one after the other.
    pub sizes: u64,
    /// Buffers in turn.
    pub buffers: usize,
    /// Commits made.
    pub committed: u64,
    /// Of them, those of the buffers of now.
    #[serde(skip)]
    pub committed_of_these: u64,
    /// Answers of the compositor to our questions for buffers.
    pub answers: Vec<Negotiated>,
    /// Questions that it refused, in its words.
    pub refused: Vec<String>,
    /// Changes that it told.
    pub changes: Vec<String>,
    /// Frames that reached the screen.
    pub presented: u64,
    /// Frames the display read from the client's own buffer.
    pub zero_copy: u64,
    /// Frames that were replaced before they were shown.
    pub discarded: u64,
    /// Frame callbacks that came before it was known what became of their frames: right only for what is not seen.
    pub told_early: u64,
    /// Frames that the display read from the client's own buffer, which came back before a later one was shown. Right
    /// only where it was composed in the end, as when something came to lie above it.
    pub released_early: usize,
    /// Frames that were shown before their acquire points were signalled.
    pub shown_unacquired: u64,
    /// Release points that were signalled.
    pub points_released: u64,
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

/// One answer.
#[derive(Debug, Clone, Serialize)]
pub struct Negotiated {
    /// Pixels, `WxH`.
    pub size: String,
    /// Fourcc as text.
    pub format: String,
    /// Bytes a row.
    pub pitch: u32,
    /// Buffers.
    pub buffers: usize,
    /// Who can use them.
    pub satisfied: Vec<String>,
    /// Who cannot.
    pub dropped: Vec<String>,
}

impl Report {
    /// The buffers changed to those that `new` tells of.
    pub fn take(&mut self, new: Report) {
        let Report { path, why, heap, format, modifier, pitch, size, buffers, .. } = new;
        *self = Report {
            path,
            why,
            heap,
            format,
            modifier,
            pitch,
            size,
            buffers,
            committed_of_these: 0,
            ..std::mem::take(self)
        };
    }

    /// The compositor gave these buffers.
    pub fn negotiated(&mut self, new: &Buffers) {
        let of = |wanted| {
            let those = new.outcomes.iter().filter(move |(_, outcome)| *outcome == wanted);
            those.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let pitch = new.planes.first().map_or(0, |(_, pitch)| *pitch);
        let answer = Negotiated {
            size: new.size.to_string(),
            format: new.format.to_string(),
            pitch,
            buffers: new.fds.len(),
            satisfied: of(Outcome::Satisfied),
            dropped: of(Outcome::Dropped),
        };
        self.take(Report {
            path: "negotiated".to_owned(),
            why: format!("serves {}", answer.satisfied.join(", ")),
            heap: "the compositor's choice".to_owned(),
            format: answer.format.clone(),
            modifier: new.modifier.to_string(),
            pitch: pitch.into(),
            size: answer.size.clone(),
            buffers: answer.buffers,
            ..Report::default()
        });
        self.answers.push(answer);
    }

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
        for (number, answer) in (1..).zip(&self.answers) {
            let Negotiated { size, format, pitch, buffers, satisfied, dropped } = answer;
            write!(
                f,
                "answer {number:<4} {buffers} of {size} {format}, pitch {pitch}: serves {}",
                satisfied.join(", ")
            )?;
            writeln!(f, "{}{}", if dropped.is_empty() { "" } else { "; not " }, dropped.join(", "))?;
        }
        for refused in &self.refused {
            writeln!(f, "refused     {refused}")?;
        }
        if !self.changes.is_empty() {
            writeln!(f, "changes     {}", self.changes.join(", "))?;
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
