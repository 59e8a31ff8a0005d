//! What is known of one device using one heap.

use serde::{Deserialize, Serialize};

/// Whether a device can use a heap.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It can.
    Accepts,
    /// It cannot.
    Refuses,
    /// Nobody knows: as if the link were not listed.
    #[default]
    Unknown,
}

/// How a verdict is known, the strongest first.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The kernel or the driver says so.
    Declared,
    /// Tried, at a size, on this kernel.
    Probed,
    /// An entry of a quirk table.
    Table,
    /// Hearsay.
    #[default]
    Unknown,
}

impl Evidence {
    /// The word in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::Declared => "declared",
            Evidence::Probed => "probed",
            Evidence::Table => "table",
            Evidence::Unknown => "unknown",
        }
    }
}

/// One statement on one device using one heap. Several may stand for the same pair.
#[derive(Debug, Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The device, named as in the participants.
    pub device: String,
    /// The heap's id. A link to a heap or of a device that the problem does not have is of no consequence.
    pub heap: String,
    /// What is said.
    #[serde(default)]
    pub verdict: Verdict,
    /// How it is known.
    #[serde(default)]
    pub evidence: Evidence,
    /// The size of the buffer that was tried, in bytes. Not stated: the verdict holds for every size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Everything that is said of one device using one heap, settled:
///
/// 1. what is declared counts, a refusal before an acceptance;
/// 2. then a refusal of the quirk table, then one of a probe, at whatever size;
/// 3. then a probe that accepts, if it was as large as needed; then an acceptance of the table;
/// 4. a refusal on hearsay counts only where nobody better says that it works;
/// 5. all else is unknown: allowed, on weak evidence.
#[derive(Debug, Copy, Clone, Default)]
pub(super) struct Settled {
    declared: Said,
    probed: Said,
    table: Said,
    hearsay: Said,
    /// The largest size at which a probe accepted, in bytes.
    probed_bytes: u64,
}

#[derive(Debug, Copy, Clone, Default)]
struct Said {
    accepts: bool,
    refuses: bool,
}

impl Settled {
    /// Adds one statement; the order of adding is of no consequence.
    pub(super) fn add(&mut self, link: &Link) {
        let said = match link.evidence {
            Evidence::Declared => &mut self.declared,
            Evidence::Probed => &mut self.probed,
            Evidence::Table => &mut self.table,
            Evidence::Unknown => &mut self.hearsay,
        };
        match link.verdict {
            Verdict::Accepts => {
                said.accepts = true;
                if link.evidence == Evidence::Probed {
                    self.probed_bytes = self.probed_bytes.max(link.bytes.unwrap_or(u64::MAX));
                }
            }
            Verdict::Refuses => said.refuses = true,
            Verdict::Unknown => {}
        }
    }

    /// Adds everything said elsewhere.
    fn join(&mut self, other: &Settled) {
        for (ours, theirs) in [
            (&mut self.declared, other.declared),
            (&mut self.probed, other.probed),
            (&mut self.table, other.table),
            (&mut self.hearsay, other.hearsay),
        ] {
            ours.accepts |= theirs.accepts;
            ours.refuses |= theirs.refuses;
        }
        self.probed_bytes = self.probed_bytes.max(other.probed_bytes);
    }

    /// On what evidence the device refuses the heap, if it does.
    pub(super) fn refusal(&self) -> Option<Evidence> {
        if self.declared.refuses {
            Some(Evidence::Declared)
        } else if self.declared.accepts {
            None
        } else if self.table.refuses {
            Some(Evidence::Table)
        } else if self.probed.refuses {
            Some(Evidence::Probed)
        } else {
            let better = self.probed.accepts || self.table.accepts;
            (self.hearsay.refuses && !better).then_some(Evidence::Unknown)
        }
    }

    /// How well it is known that the device takes a buffer of `bytes` from the heap, unless it refuses.
    pub(super) fn acceptance(&self, bytes: u64) -> Evidence {
        if self.declared.accepts {
            Evidence::Declared
        } else if self.probed.accepts && self.probed_bytes >= bytes {
            Evidence::Probed
        } else if self.table.accepts {
            Evidence::Table
        } else {
            Evidence::Unknown
        }
    }
}

/// What is said of every device and heap of a problem, by number.
#[derive(Debug)]
pub(super) struct LinkTable {
    /// (device, heap), sorted.
    entries: Vec<((usize, usize), Settled)>,
}

impl LinkTable {
    /// `devices` are sorted and numbered from 1; `heaps` are sorted by id, with their numbers.
    pub(super) fn new(links: &[Link], devices: &[&str], heaps: &[(&str, usize)]) -> LinkTable {
        let number = |link: &Link| {
            let device = devices.binary_search(&link.device.as_str()).ok()? + 1;
            let heap = heaps.binary_search_by_key(&link.heap.as_str(), |(id, _)| id).ok()?;
            Some((device, heaps.get(heap)?.1))
        };
        let mut entries: Vec<((usize, usize), Settled)> = Vec::with_capacity(links.len());
        for link in links {
            if let Some(key) = number(link) {
                let mut settled = Settled::default();
                settled.add(link);
                entries.push((key, settled));
            }
        }
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.join(&next.1);
            }
            same
        });
        LinkTable { entries }
    }

    /// What is said of a device, 0 for none, and a heap.
    pub(super) fn get(&self, device: usize, heap: usize) -> Settled {
        let found = self.entries.binary_search_by_key(&(device, heap), |(key, _)| *key);
        found.ok().and_then(|at| self.entries.get(at)).map(|(_, settled)| *settled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(links: &[(Verdict, Evidence, Option<u64>)]) -> Settled {
        let mut settled = Settled::default();
        for (verdict, evidence, bytes) in links {
            settled.add(&Link { verdict: *verdict, evidence: *evidence, bytes: *bytes, ..Link::default() });
        }
        settled
    }

    #[test]
    fn the_strongest_statement_wins() {
        use Evidence::{Declared, Probed, Table, Unknown};
        use Verdict::{Accepts, Refuses};
        // what is said, who refuses, else how well acceptance of 100 bytes is known
        for (said, want) in [
            (&[][..], Err(Unknown)),
            (&[(Accepts, Declared, None)], Err(Declared)),
            (&[(Refuses, Declared, None)], Ok(Declared)),
            (&[(Accepts, Probed, None)], Err(Probed)),
            (&[(Accepts, Probed, Some(100))], Err(Probed)),
            (&[(Accepts, Probed, Some(99))], Err(Unknown)),
            (&[(Accepts, Probed, Some(99)), (Accepts, Table, None)], Err(Table)),
            (&[(Refuses, Probed, Some(1))], Ok(Probed)),
            (&[(Refuses, Table, None), (Accepts, Probed, Some(100))], Ok(Table)),
            (&[(Accepts, Table, None), (Refuses, Probed, None)], Ok(Probed)),
            (&[(Accepts, Declared, None), (Refuses, Table, None)], Err(Declared)),
            (&[(Refuses, Declared, None), (Accepts, Table, None)], Ok(Declared)),
            (&[(Accepts, Declared, None), (Refuses, Declared, None)], Ok(Declared)),
            (&[(Accepts, Probed, Some(1)), (Refuses, Probed, Some(1000))], Ok(Probed)),
            (&[(Refuses, Unknown, None)], Ok(Unknown)),
            (&[(Refuses, Unknown, None), (Accepts, Table, None)], Err(Table)),
            (&[(Accepts, Unknown, None)], Err(Unknown)),
            (&[(Verdict::Unknown, Declared, None)], Err(Unknown)),
        ] {
            let mut reversed = said.to_vec();
            reversed.reverse();
            for said in [said, &reversed] {
                let settled = settled(said);
                let got = settled.refusal().ok_or_else(|| settled.acceptance(100));
                assert_eq!(got, want, "{said:?}");
            }
        }
    }
}
