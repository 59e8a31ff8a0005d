//! The table of rules, read and checked.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::KernelVersion;
use super::rule::{Rule, tighten};
use crate::constraints::{ExactPitch, Format, LayoutLimits};
use crate::solver::problem::{Evidence, HeapFacts, Link, Participant, Verdict};

/// Largest table that is read, bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The version of the form.
const VERSION: u32 = 1;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    version: u32,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuirkError {
    /// Nobody writes so much by hand.
    #[error(
        "the table has {0} bytes, at most {MAX_BYTES} are read: split it, or take out what does not concern this machine"
    )]
    TooLarge(usize),
    /// It is not TOML, or has keys or values that no table has. The message names line and column.
    #[error("{0}")]
    Syntax(String),
    /// It is of another version.
    #[error(
        "the table is of version {0}, this program reads version {VERSION}: write `version = {VERSION}` and check the keys"
    )]
    Version(u32),
    /// A rule makes no sense.
    #[error("rule {rule}: {why}")]
    Rule {
        /// Its id, or `#` and its place in the file, from 1.
        rule: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// A device and a kernel, to which rules are to be applied.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What participants and links call the device.
    pub device: &'a str,
    /// Its driver, as the kernel names it.
    pub driver: &'a str,
    /// The kernel's release, if it is understood.
    pub kernel: Option<KernelVersion>,
    /// Whether an IOMMU is in front of it.
    pub iommu: bool,
}

/// Reads a table. Takes at most a mebibyte, and time in proportion to it.
///
/// # Errors
/// [`QuirkError`] names the line, or the rule, and what to do.
pub fn parse(text: &str) -> Result<Table, QuirkError> {
    if text.len() > MAX_BYTES {
        return Err(QuirkError::TooLarge(text.len()));
    }
    let table: Table =
        toml::from_str(text).map_err(|error| QuirkError::Syntax(error.to_string().trim().to_owned()))?;
    table.check()?;
    Ok(table)
}

impl Table {
    /// The rules, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn check(&self) -> Result<(), QuirkError> {
        if self.version != VERSION {
            return Err(QuirkError::Version(self.version));
        }
        let mut ids = HashSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let wrong = |why: String| {
                let name = if rule.id.is_empty() { format!("#{}", index + 1) } else { rule.id.clone() };
                Err(QuirkError::Rule { rule: name, why })
            };
            if rule.id.is_empty() {
                return wrong("has no id: give it one that no other rule has".to_owned());
            }
            if !ids.insert(&rule.id) {
                return wrong("is there twice: give one of them another id".to_owned());
            }
            if let Some(why) = fault(rule) {
                return wrong(why);
            }
            if let Some((other, field)) =
                self.rules.iter().take(index).find_map(|other| Some((other, contradiction(rule, other)?)))
            {
                return wrong(format!(
                    "contradicts rule {} in {field}: narrow their kernels or formats",
                    other.id
                ));
            }
        }
        Ok(())
    }

    /// This table with another one on top: a rule there replaces ours of the same id, or takes it out with `disable`.
    #[must_use]
    pub fn overlaid(mut self, above: Table) -> Table {
        for rule in above.rules {
            let known = self.rules.iter().position(|known| known.id == rule.id);
            match (known, rule.disable) {
                (Some(index), true) => {
                    self.rules.remove(index);
                }
                (Some(index), false) => {
                    if let Some(known) = self.rules.get_mut(index) {
                        *known = rule;
                    }
                }
                (None, true) => tracing::debug!(id = rule.id, "no such quirk to disable"),
                (None, false) => self.rules.push(rule),
            }
        }
        self
    }

    fn about<'a>(&'a self, subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| {
            rule.drivers.iter().any(|driver| driver == subject.driver) && rule.kernel.contains(subject.kernel)
        })
    }

    /// Whether this device is known to read only memory in one piece. Behind an IOMMU it is not.
    #[must_use]
    pub fn wants_contiguous(&self, subject: &Subject<'_>) -> bool {
        !subject.iommu && self.about(subject).any(|rule| rule.memory.is_some_and(|memory| memory.contiguous))
    }

    /// Narrows a participant of this device: takes out options that are known to go wrong, and tightens the limits of the
    /// others and of its memory.
    pub fn narrow(&self, subject: &Subject<'_>, participant: &mut Participant) {
        participant.memory.contiguous |= self.wants_contiguous(subject);
        for rule in self.about(subject) {
            if let Some(memory) = rule.memory {
                let bits = &mut participant.memory.dma_mask_bits;
                *bits = match (*bits, memory.dma_mask_bits) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            if !rule.has_limits() && !rule.refuses {
                continue;
            }
            for options in participant.option_lists() {
                if rule.refuses {
                    options.retain(|option| !rule.is_about(option.format, option.modifier));
                }
                for option in
                    options.iter_mut().filter(|option| rule.is_about(option.format, option.modifier))
                {
                    tighten(&mut option.limits, &rule.limits);
                }
            }
        }
    }

    /// What the table says of this device with each of these heaps.
    #[must_use]
    pub fn links(&self, subject: &Subject<'_>, heaps: &[HeapFacts]) -> Vec<Link> {
        let mut links = Vec::new();
        for rule in self.about(subject) {
            let Some(known) = rule.link else { continue };
            // To a device behind an IOMMU, memory in pieces is not what the rule was found with.
            if subject.iommu && known.contiguous == Some(false) {
                continue;
            }
            for heap in heaps.iter().filter(|heap| known.is_about(heap)) {
                links.push(Link {
                    device: subject.device.to_owned(),
                    heap: heap.id.clone(),
                    verdict: known.verdict,
                    evidence: Evidence::Table,
                    bytes: None,
                });
            }
        }
        links
    }

    /// The rules that hold for a device: for telling people.
    #[must_use]
    pub fn of(&self, subject: &Subject<'_>) -> Vec<Rule> {
        self.about(subject).cloned().collect()
    }
}

/// What is wrong with one rule.
fn fault(rule: &Rule) -> Option<String> {
    if rule.disable {
        let empty = Rule { id: rule.id.clone(), disable: true, ..Rule::default() };
        return (*rule != empty)
            .then(|| "is disabled, so it says nothing else: take the other keys out".to_owned());
    }
    let silent = !rule.has_limits()
        && !rule.refuses
        && rule.memory.is_none()
        && rule.link.is_none()
        && rule.stacking.is_none();
    let zero = rule.limits.alignments().into_iter().find(|(_, value)| *value == Some(0));
    let pitches = rule.limits.min_pitch.zip(rule.limits.max_pitch).filter(|(least, most)| least > most);
    let unknown = rule.formats.iter().flatten().find(|format| Format::of(**format).is_none());
    if rule.drivers.is_empty() || rule.drivers.iter().any(String::is_empty) {
        Some("names no driver: write `drivers = [\"...\"]`, as `heapwright explain` prints it".to_owned())
    } else if rule.source.is_empty() {
        Some("has no source: say where it is written".to_owned())
    } else if rule.why.is_empty() {
        Some("does not say why: write a sentence".to_owned())
    } else if rule.kernel.is_empty() {
        Some("holds for no kernel: `until` must be later than `from`".to_owned())
    } else if silent {
        Some("says nothing: give it a limit, `refuses`, `memory`, `link` or `stacking`".to_owned())
    } else if let Some((field, _)) = zero {
        Some(format!("{field} is 0: write 1 or more, or leave it out"))
    } else if let Some((least, most)) = pitches {
        Some(format!("min_pitch {least} is larger than max_pitch {most}"))
    } else if let Some(format) = unknown {
        Some(format!("{format} is no format that is known here: write one of drm_fourcc.h"))
    } else if rule.formats.as_ref().is_some_and(Vec::is_empty)
        || rule.modifiers.as_ref().is_some_and(Vec::is_empty)
    {
        Some("holds for an empty list: leave the list out to mean all".to_owned())
    } else {
        (rule.link.is_some_and(|link| link.verdict == Verdict::Unknown))
            .then(|| "has a link that says `unknown`: write accepts or refuses".to_owned())
    }
}

/// The field in which two rules cannot both hold.
fn contradiction(a: &Rule, b: &Rule) -> Option<&'static str> {
    fn meet<T: PartialEq>(a: Option<&Vec<T>>, b: Option<&Vec<T>>) -> bool {
        a.zip(b).is_none_or(|(a, b)| a.iter().any(|one| b.contains(one)))
    }
    let together = a.drivers.iter().any(|driver| b.drivers.contains(driver))
        && a.kernel.overlaps(&b.kernel)
        && meet(a.formats.as_ref(), b.formats.as_ref())
        && meet(a.modifiers.as_ref(), b.modifiers.as_ref());
    if !together {
        return None;
    }
    let (first, second): (&LayoutLimits, &LayoutLimits) = (&a.limits, &b.limits);
    let bytes = |limits: &LayoutLimits| match limits.exact_pitch {
        Some(ExactPitch::Bytes(bytes)) => Some(bytes),
        _ => None,
    };
    let crossed =
        |least: Option<u64>, most: Option<u64>| least.zip(most).is_some_and(|(least, most)| least > most);
    if bytes(first).zip(bytes(second)).is_some_and(|(one, other)| one != other) {
        Some("exact_pitch")
    } else if first.chroma_pitch.zip(second.chroma_pitch).is_some_and(|(one, other)| one != other) {
        Some("chroma_pitch")
    } else if crossed(first.min_pitch, second.max_pitch) || crossed(second.min_pitch, first.max_pitch) {
        Some("min_pitch")
    } else {
        let same = |a: &super::LinkRule, b: &super::LinkRule| {
            super::LinkRule { verdict: b.verdict, ..*a } == *b && a.verdict != b.verdict
        };
        a.link.zip(b.link).is_some_and(|(a, b)| same(&a, &b)).then_some("link")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::{Fourcc, Modifier};
    use crate::links::quirks::{KernelRange, LinkRule, MemoryRule};
    use crate::solver::problem::OptionSpec;

    fn rule(id: &str) -> Rule {
        Rule {
            id: id.to_owned(),
            drivers: vec!["gpu".to_owned()],
            source: "a file".to_owned(),
            why: "it is so".to_owned(),
            limits: LayoutLimits { pitch_align: Some(64), ..LayoutLimits::NONE },
            ..Rule::default()
        }
    }

    fn table(rules: Vec<Rule>) -> Table {
        Table { version: VERSION, rules }
    }

    const SUBJECT: Subject<'static> = Subject {
        device: "card0",
        driver: "gpu",
        kernel: Some(KernelVersion { major: 7, minor: 3, patch: 0 }),
        iommu: false,
    };

    #[test]
    fn a_table_is_read_whole_and_every_fault_is_named() {
        let good = "version = 1\n[[rule]]\nid = \"a\"\ndrivers = [\"gpu\"]\nkernel = { from = \"6.1\" }\nformats = [\"NV12\"]\n\
            modifiers = [\"LINEAR\"]\npitch_align = 256\nsource = \"x\"\nwhy = \"y\"\n";
        let read = parse(good).expect("a table");
        assert_eq!(read.rules().len(), 1);
        assert_eq!(read.rules()[0].limits.pitch_align, Some(256));
        for (change, by, said) in [
            ("version = 1", "version = 2", "version 2"),
            ("version = 1\n", "", "version"),
            ("pitch_align = 256", "pitch_allign = 256", "line 8"),
            ("pitch_align = 256", "pitch_align = 0", "rule a: pitch_align is 0"),
            ("pitch_align = 256", "pitch_align = -1", "line 8"),
            ("pitch_align = 256\n", "", "rule a: says nothing"),
            ("source = \"x\"", "source = \"\"", "rule a: has no source"),
            ("why = \"y\"\n", "", "rule a: does not say why"),
            ("id = \"a\"", "id = \"\"", "rule #1: has no id"),
            ("[\"gpu\"]", "[]", "rule a: names no driver"),
            ("from = \"6.1\"", "from = \"6.1\", until = \"6.0\"", "rule a: holds for no kernel"),
            ("\"6.1\"", "\"six\"", "no release of Linux"),
            ("NV12", "NVXX", "rule a: NVXX is no format"),
            ("LINEAR", "LINEARE", "LINEARE"),
            ("[\"NV12\"]", "[]", "rule a: holds for an empty list"),
        ] {
            let text = good.replace(change, by);
            assert_ne!(text, good, "{change}");
            let error = parse(&text).expect_err(&text).to_string();
            assert!(error.contains(said), "{by}: {error}");
        }
        assert!(matches!(parse(&" ".repeat(MAX_BYTES + 1)), Err(QuirkError::TooLarge(_))));
    }

    #[test]
    fn rules_that_cannot_both_hold_are_refused() {
        let exact = |id, bytes| Rule {
            limits: LayoutLimits { exact_pitch: Some(ExactPitch::Bytes(bytes)), ..LayoutLimits::NONE },
            ..rule(id)
        };
        let both = |a: Rule, b: Rule| table(vec![a, b]).check().map_err(|error| error.to_string());
        assert_eq!(both(exact("a", 64), exact("b", 64)), Ok(()));
        let error = both(exact("a", 64), exact("b", 128)).expect_err("a contradiction");
        assert!(error.contains("rule b: contradicts rule a in exact_pitch"), "{error}");
        let until = |rule: Rule| {
            let kernel = KernelRange { from: None, until: Some(KernelVersion::from([6, 0, 0])) };
            Rule { kernel, ..rule }
        };
        let from = |rule: Rule| {
            let kernel = KernelRange { from: Some(KernelVersion::from([6, 0, 0])), until: None };
            Rule { kernel, ..rule }
        };
        assert_eq!(both(until(exact("a", 64)), from(exact("b", 128))), Ok(()));
        let of = |rule: Rule, format| Rule { formats: Some(vec![format]), ..rule };
        assert_eq!(both(of(exact("a", 64), Fourcc::NV12), of(exact("b", 128), Fourcc::XRGB8888)), Ok(()));
        assert!(both(rule("a"), rule("a")).is_err(), "one id twice");
    }

    #[test]
    fn a_users_rules_come_before_ours() {
        let ours = table(vec![rule("a"), rule("b"), rule("c")]);
        let wider =
            Rule { limits: LayoutLimits { pitch_align: Some(512), ..LayoutLimits::NONE }, ..rule("b") };
        let off = Rule { id: "a".to_owned(), disable: true, ..Rule::default() };
        let above = table(vec![off, wider.clone(), rule("d")]);
        assert_eq!(above.check(), Ok(()));
        assert_eq!(ours.overlaid(above).rules(), [wider, rule("c"), rule("d")]);
    }

    #[test]
    fn rules_narrow_their_drivers_options_and_no_others() {
        let pair = |format, modifier: Modifier| OptionSpec {
            format: crate::solver::problem::Match::Is(format),
            modifier: modifier.into(),
            ..OptionSpec::default()
        };
        let participant = || Participant {
            options: Some(vec![
                pair(Fourcc::NV12, Modifier::LINEAR),
                pair(Fourcc::XRGB8888, Modifier::LINEAR),
            ]),
            ..Participant::default()
        };
        let bad = Rule { formats: Some(vec![Fourcc::NV12]), refuses: true, ..rule("bad") };
        let old = Rule {
            kernel: KernelRange { from: None, until: Some(KernelVersion::from([7, 3, 0])) },
            limits: LayoutLimits { pitch_align: Some(4096), ..LayoutLimits::NONE },
            ..rule("old")
        };
        let memory =
            Rule { memory: Some(MemoryRule { contiguous: true, dma_mask_bits: Some(32) }), ..rule("memory") };
        let table = table(vec![bad, old, memory]);
        let mut narrowed = participant();
        table.narrow(&SUBJECT, &mut narrowed);
        let options = narrowed.options.clone().unwrap_or_default();
        assert_eq!(options.iter().map(|option| option.format).collect::<Vec<_>>(), [Fourcc::XRGB8888.into()]);
        assert_eq!(options[0].limits.pitch_align, Some(64));
        assert!(narrowed.memory.contiguous);
        assert_eq!(narrowed.memory.dma_mask_bits, Some(32));
        let mut behind = participant();
        table.narrow(&Subject { iommu: true, ..SUBJECT }, &mut behind);
        assert!(!behind.memory.contiguous, "an IOMMU waives it");
        assert!(table.wants_contiguous(&SUBJECT) && !self::table(vec![rule("a")]).wants_contiguous(&SUBJECT));
        let mut other = participant();
        table.narrow(&Subject { driver: "other", ..SUBJECT }, &mut other);
        assert_eq!(other, participant());
    }

    #[test]
    fn links_are_about_heaps_as_they_are_and_not_as_they_are_called() {
        let link = LinkRule { verdict: Verdict::Refuses, contiguous: Some(false), ..LinkRule::default() };
        let table = table(vec![Rule { link: Some(link), ..rule("a") }]);
        let heap = |id: &str, contiguous| HeapFacts { id: id.to_owned(), contiguous, ..HeapFacts::default() };
        let links = table.links(&SUBJECT, &[heap("h0", false), heap("h1", true)]);
        let said: Vec<_> = links.iter().map(|it| (&*it.heap, it.verdict, it.evidence)).collect();
        assert_eq!(said, [("h0", Verdict::Refuses, Evidence::Table)]);
        assert_eq!(table.links(&Subject { iommu: true, ..SUBJECT }, &[heap("h0", false)]), []);
    }
}
