//! What was found out by trying, kept on disk for the next process.
//!
//! A file of findings belongs to one build of one kernel: a file of another is not used, and overwritten. In it, a device
//! is the same if its driver, its place in sysfs and its IOMMU are the same, a heap if its id and everything that it says
//! of itself but how much is free are. The file is safe to delete, and one that cannot be read is as good as none.
//!
//! 1. A finding holds up to the size that was tried: an acceptance serves smaller buffers, a refusal larger ones.
//! 2. An acceptance of memory in pieces is kept only for devices that are known to take such memory: by luck any may.
//! 3. An acceptance that no test commit confirmed is not for those who can make one ([`Trust::Tested`]).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{LinkCache, Outcome, Probe, Step};
use crate::constraints::{Fourcc, Modifier};
use crate::devices::{KmsDevice, Scattered};
use crate::solver::problem::{Evidence, HeapFacts, Link, Verdict};

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Changed when a file means something else than before.
const VERSION: u32 = 2;

/// Which findings of other processes are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// All: for who cannot test a commit anyway.
    #[default]
    Any,
    /// Acceptances only if a test commit passed: for who is the master of the display.
    Tested,
}

/// Findings on disk.
#[derive(Debug, Clone)]
pub struct LinkStore {
    path: PathBuf,
    trust: Trust,
    file: Findings,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Findings {
    version: u32,
    kernel: String,
    devices: Vec<OfDevice>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDevice {
    device: DeviceKey,
    scattered: Option<Scattered>,
    found: Vec<Found>,
    pitch_aligns: Vec<PitchAlign>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceKey {
    driver: String,
    place: PathBuf,
    iommu: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    heap: HeapFacts,
    format: Fourcc,
    modifier: Modifier,
    verdict: Verdict,
    bytes: u64,
    tested: bool,
    errno: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PitchAlign {
    format: Fourcc,
    modifier: Modifier,
    bytes: u64,
}

/// What must not have changed for a heap to be the same.
fn lasting(facts: &HeapFacts) -> HeapFacts {
    HeapFacts { free: None, can_open: true, ..facts.clone() }
}

/// The build of the kernel that runs.
fn kernel() -> String {
    let uname = rustix::system::uname();
    format!("{} {}", uname.release().to_string_lossy(), uname.version().to_string_lossy())
}

impl DeviceKey {
    fn of(device: &KmsDevice) -> Option<Self> {
        let number = device.dev();
        let link =
            format!("/sys/dev/char/{}:{}/device", rustix::fs::major(number), rustix::fs::minor(number));
        // Without a place in sysfs, a device is not to be told from its neighbour.
        let place = fs::canonicalize(link).ok()?;
        Some(DeviceKey { driver: device.driver().to_owned(), place, iommu: device.behind_iommu() })
    }
}

impl LinkStore {
    /// Where a user's findings are: `heapwright/links.json` below `XDG_CACHE_HOME` or `~/.cache`. `None` without either.
    #[must_use]
    pub fn usual_path() -> Option<PathBuf> {
        let below = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = below("XDG_CACHE_HOME").or_else(|| below("HOME").map(|home| home.join(".cache")))?;
        Some(cache.join("heapwright/links.json"))
    }

    /// Reads the findings at `path`. What is missing, of another kernel, or not to be understood is empty.
    #[must_use]
    pub fn open(path: &Path, trust: Trust) -> Self {
        LinkStore::open_for(path, trust, kernel())
    }

    fn open_for(path: &Path, trust: Trust, kernel: String) -> Self {
        let empty = |kernel| Findings { version: VERSION, kernel, devices: Vec::new() };
        let file = match read(path) {
            Ok(Some(found)) if found.version == VERSION && found.kernel == kernel => found,
            Ok(Some(found)) => {
                tracing::debug!(path = %path.display(), of = found.kernel, "findings of another kernel are left out");
                empty(kernel)
            }
            Ok(None) => empty(kernel),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "findings cannot be read: all is tried anew");
                empty(kernel)
            }
        };
        LinkStore { path: path.to_owned(), trust, file }
    }

    /// What is known of a device from before, for its heaps of today.
    pub(crate) fn recall(&self, device: &KmsDevice, heaps: &[HeapFacts], links: &LinkCache) {
        let Some(key) = DeviceKey::of(device) else { return };
        let Some(known) = self.file.devices.iter().find(|known| known.device == key) else { return };
        if let Some(scattered) = known.scattered {
            device.learn_scattered(scattered);
        }
        for rule in &known.pitch_aligns {
            links.keep_pitch_align(device.name(), (rule.format, rule.modifier), rule.bytes);
        }
        for found in &known.found {
            if self.trust == Trust::Tested && found.verdict == Verdict::Accepts && !found.tested {
                continue;
            }
            if heaps.iter().any(|heap| lasting(heap) == found.heap) {
                links.keep(found.probe(device.name()), (found.format, found.modifier));
            }
        }
    }

    /// Takes over what is known now of a device. What was known of heaps that are not there today stays.
    /// `own` are the ids of the device's own heaps: what it makes itself it does not take by luck.
    pub(crate) fn note(&mut self, device: &KmsDevice, heaps: &[HeapFacts], own: &[&str], links: &LinkCache) {
        // Another device may have its number by now.
        if device.has_vanished() {
            return;
        }
        let Some(key) = DeviceKey::of(device) else { return };
        let takes_scattered = device.takes_scattered();
        let now: Vec<Found> = links
            .of_device(device.name())
            .into_iter()
            .filter_map(|(probe, pair)| {
                let heap = heaps.iter().find(|heap| heap.id == probe.link.heap)?;
                let takes_pieces = if own.contains(&&*heap.id) { Some(true) } else { takes_scattered };
                Found::of(&probe, pair, heap, takes_pieces)
            })
            .collect();
        let pitch_aligns = links
            .pitch_aligns(device.name())
            .into_iter()
            .map(|((format, modifier), bytes)| PitchAlign { format, modifier, bytes })
            .collect();
        let of_today = |found: &Found| heaps.iter().any(|heap| heap.id == found.heap.id);
        let known = self.file.devices.iter().position(|known| known.device == key);
        let before = known.map(|index| self.file.devices.swap_remove(index).found).unwrap_or_default();
        let mut found: Vec<_> = before.into_iter().filter(|found| !of_today(found)).collect();
        found.extend(now);
        self.file.devices.push(OfDevice { device: key, scattered: device.scattered(), found, pitch_aligns });
    }

    /// Writes the findings, as a whole or not at all.
    ///
    /// # Errors
    /// Those of making the directory and of writing.
    pub(crate) fn save(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut partial = self.path.clone();
        partial.as_mut_os_string().push(format!(".{}", std::process::id()));
        // Left over from a process of the same number, if it is there.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        let written = serde_json::to_vec_pretty(&self.file)
            .map_err(io::Error::other)
            .and_then(|text| file.write_all(&text))
            .and_then(|()| fs::rename(&partial, &self.path));
        if written.is_err() {
            // There is nothing more to be done about a file that stays.
            let _ = fs::remove_file(&partial);
        }
        written
    }
}

fn read(path: &Path) -> io::Result<Option<Findings>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(Some(serde_json::from_str(&text)?))
}

impl Found {
    fn of(
        probe: &Probe,
        (format, modifier): (Fourcc, Modifier),
        heap: &HeapFacts,
        scattered: Option<bool>,
    ) -> Option<Self> {
        let Link { verdict, evidence, bytes, .. } = &probe.link;
        let by_luck = *verdict == Verdict::Accepts && !heap.contiguous && scattered != Some(true);
        let gone = probe.steps.iter().any(|step| step.outcome == Outcome::Vanished);
        if *evidence != Evidence::Probed || *verdict == Verdict::Unknown || by_luck || gone {
            return None;
        }
        let tested = |step: &Step| step.what == "TEST_ONLY" && step.outcome == Outcome::Passed;
        let errno = probe.steps.iter().find_map(|step| match step.outcome {
            Outcome::Refused(errno) => Some(errno.raw_os_error()),
            _ => None,
        });
        Some(Found {
            heap: lasting(heap),
            format,
            modifier,
            verdict: *verdict,
            bytes: (*bytes)?,
            tested: probe.steps.iter().any(tested),
            errno,
        })
    }

    fn probe(&self, device: &str) -> Probe {
        let outcome = match (self.verdict, self.errno) {
            (Verdict::Refuses, errno) => {
                Outcome::Refused(errno.map_or(Errno::INVAL, Errno::from_raw_os_error))
            }
            _ => Outcome::Passed,
        };
        let what = if self.tested { "TEST_ONLY" } else { "an earlier run" };
        let link = Link {
            device: device.to_owned(),
            heap: self.heap.id.clone(),
            verdict: self.verdict,
            evidence: Evidence::Probed,
            bytes: Some(self.bytes),
        };
        Probe { link, steps: vec![Step { what, outcome }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(id: &str, contiguous: bool) -> HeapFacts {
        HeapFacts { id: id.to_owned(), contiguous, free: Some(7), ..HeapFacts::default() }
    }

    fn probe(verdict: Verdict, step: Step) -> Probe {
        let link = Link {
            device: "card0".to_owned(),
            heap: "h0".to_owned(),
            verdict,
            evidence: Evidence::Probed,
            bytes: Some(4096),
        };
        Probe { link, steps: vec![step] }
    }

    const PAIR: (Fourcc, Modifier) = (Fourcc::XRGB8888, Modifier::LINEAR);

    fn passed(what: &'static str) -> Step {
        Step { what, outcome: Outcome::Passed }
    }

    #[test]
    fn luck_is_not_kept_and_what_is_known_is() {
        let accepted = probe(Verdict::Accepts, passed("AddFB2"));
        for (contiguous, scattered, kept) in [
            (true, None, true),
            (true, Some(false), true),
            (false, Some(true), true),
            (false, Some(false), false),
            (false, None, false),
        ] {
            let found = Found::of(&accepted, PAIR, &heap("h0", contiguous), scattered);
            assert_eq!(found.is_some(), kept, "contiguous {contiguous}, takes pieces {scattered:?}");
        }
        let refused = Step { what: "PRIME import", outcome: Outcome::Refused(Errno::NODEV) };
        let found =
            Found::of(&probe(Verdict::Refuses, refused), PAIR, &heap("h0", false), None).expect("kept");
        assert_eq!(found.probe("card3").steps[0].outcome, Outcome::Refused(Errno::NODEV));
        assert_eq!(found.probe("card3").link.device, "card3", "names change from boot to boot");
        let gone = Step { what: "AddFB2", outcome: Outcome::Vanished };
        assert_eq!(Found::of(&probe(Verdict::Refuses, gone), PAIR, &heap("h0", true), None), None);
        let unknown = probe(Verdict::Unknown, passed("AddFB2"));
        assert_eq!(Found::of(&unknown, PAIR, &heap("h0", true), None), None);
    }

    #[test]
    fn a_file_is_read_again_and_every_other_file_is_as_good_as_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep/links.json");
        let open = |kernel: &str| LinkStore::open_for(&path, Trust::Any, kernel.to_owned());
        let mut store = open("7.3 one");
        let found = Found::of(&probe(Verdict::Accepts, passed("TEST_ONLY")), PAIR, &heap("h0", true), None);
        let device = DeviceKey { driver: "d".into(), place: "/sys/x".into(), iommu: false };
        let found = vec![found.expect("kept")];
        let pitch_aligns = vec![PitchAlign { format: PAIR.0, modifier: PAIR.1, bytes: 256 }];
        store.file.devices.push(OfDevice { device, scattered: Some(Scattered::Taken), found, pitch_aligns });
        store.save().expect("written");
        assert_eq!(open("7.3 one").file, store.file);
        assert!(open("7.3 two").file.devices.is_empty(), "another build of the kernel");
        let names: Vec<_> =
            fs::read_dir(path.parent().expect("a parent")).expect("a directory").flatten().collect();
        assert_eq!(names.len(), 1, "no partial file stays");

        let whole = fs::read_to_string(&path).expect("text");
        for length in [0, 1, whole.len() / 2, whole.len() - 2] {
            fs::write(&path, &whole[..length]).expect("truncated");
            assert!(open("7.3 one").file.devices.is_empty(), "{length} bytes");
        }
        fs::write(&path, [0xff, 0xfe]).expect("garbage");
        assert!(open("7.3 one").file.devices.is_empty());
        fs::write(&path, whole.replace("\"version\": 2", "\"version\": 9")).expect("another version");
        assert!(open("7.3 one").file.devices.is_empty());
    }
}
