//! What there is to tell in the end.

use std::fmt;

use serde::Serialize;

use crate::report::Report;

/// How video and controls were shown.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Why it is no NV12, if it is none.
    pub fallback: Option<String>,
    /// The video.
    pub video: Report,
    /// Times at which the next picture of the video was due, and the last was shown once more.
    pub late: u64,
    /// The controls; none were shown if their format is empty.
    pub controls: Report,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.fallback {
            writeln!(f, "no NV12     {why}")?;
        }
        write!(f, "{}", self.video)?;
        writeln!(f, "late        {} pictures", self.late)?;
        if !self.controls.format.is_empty() {
            let Report { presented, zero_copy, format, .. } = &self.controls;
            writeln!(f, "controls    {format}, {presented} presented, {zero_copy} zero-copy")?;
        }
        Ok(())
    }
}
