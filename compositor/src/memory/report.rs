//! What was allocated, where and why.

use std::fmt;

use heapwright_alloc::{buffers::Allocated, constraints::Size};
use serde::Serialize;

use crate::explain::grouped;

/// Buffers of one kind that lie in one place.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct Record {
    /// Whose: `headless-1 output`, or a client's process.
    pub owner: String,
    /// How many such buffers there were.
    pub count: u64,
    /// Pixels, `WxH`.
    pub size: String,
    /// Fourcc as text.
    pub format: String,
    /// Modifier by name.
    pub modifier: String,
    /// Bytes a row, of the first plane.
    pub pitch: u64,
    /// Heap id (ours), or who exported it (a client's).
    pub heap: String,
    /// The heap's names, for people.
    pub names: Vec<String>,
    /// Why there: who was satisfied, and what spoke against the other places.
    pub why: Vec<String>,
}

/// Most kinds of buffers that are listed: clients come and go for months, and each may have as many kinds as it likes.
const MOST: usize = 256;

/// What was allocated, where and why.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// One entry for each kind of buffer, the first 256 of them.
    pub buffers: Vec<Record>,
    /// Buffers of other kinds.
    pub unlisted: u64,
}

impl Report {
    /// Adds a record, counting it with its likes.
    pub fn add(&mut self, record: Record) {
        let like = |other: &&mut Record| Record { count: record.count, ..(**other).clone() } == record;
        if let Some(known) = self.buffers.iter_mut().find(like) {
            known.count += record.count;
        } else if self.buffers.len() < MOST {
            self.buffers.push(record);
        } else {
            self.unlisted += record.count;
        }
    }

    /// Adds a buffer of our own.
    pub(super) fn ours<B>(&mut self, owner: &str, size: Size, allocated: &Allocated<B>, names: Vec<String>) {
        let Allocated { resolution, failures, .. } = allocated;
        let mut why = vec![format!("serves {}", resolution.satisfied.join(", "))];
        why.extend(resolution.dropped.iter().map(|dropped| format!("without {dropped}")));
        why.extend(failures.iter().map(|failure| format!("not {failure}")));
        why.extend(grouped(&resolution.reasons));
        self.add(Record {
            owner: owner.to_owned(),
            count: 1,
            size: size.to_string(),
            format: resolution.format.to_string(),
            modifier: resolution.modifier.to_string(),
            pitch: resolution.planes.first().map_or(0, |plane| plane.pitch),
            heap: resolution.heap.clone(),
            names,
            why,
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in &self.buffers {
            let Record { owner, count, size, format, modifier, pitch, heap, names, why } = record;
            let names = names.join(", ");
            writeln!(
                f,
                "{owner}: {count} of {size} {format} {modifier}, pitch {pitch}, in {heap} ({names})"
            )?;
            for line in why {
                writeln!(f, "    {line}")?;
            }
        }
        if self.unlisted > 0 {
            writeln!(f, "and {} buffers of other kinds", self.unlisted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pitch: u64) -> Record {
        Record {
            owner: "client 7".into(),
            count: 1,
            size: "64x64".into(),
            format: "XR24".into(),
            modifier: "LINEAR".into(),
            pitch,
            heap: "system".into(),
            names: Vec::new(),
            why: Vec::new(),
        }
    }

    #[test]
    fn however_many_kinds_there_are_the_report_stays_small_and_says_so() {
        let mut report = Report::default();
        for pitch in 0..1000 {
            report.add(record(pitch));
        }
        report.add(record(0));
        assert_eq!((report.buffers.len(), report.unlisted), (256, 744));
        assert_eq!(report.buffers[0].count, 2);
        assert!(report.to_string().ends_with("\nand 744 buffers of other kinds\n"));
    }

    #[test]
    fn like_buffers_are_counted_and_others_listed() {
        let mut report = Report::default();
        for pitch in [256, 256, 512, 256] {
            report.add(record(pitch));
        }
        let counts: Vec<_> = report.buffers.iter().map(|record| (record.pitch, record.count)).collect();
        assert_eq!(counts, [(256, 3), (512, 1)]);
    }
}
