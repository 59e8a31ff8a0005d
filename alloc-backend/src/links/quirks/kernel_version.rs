//! Releases of Linux in their order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A release, as far as it tells which code runs: `7.3` is `7.3.0`, and what distributions append is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KernelVersion {
    /// As in `7`.3.4.
    pub major: u32,
    /// As in 7.`3`.4.
    pub minor: u32,
    /// As in 7.3.`4`.
    pub patch: u32,
}

/// The text is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no release of Linux: write it as 6.12 or 6.12.3")]
pub struct ParseKernelVersionError(String);

impl KernelVersion {
    /// The kernel that this runs on; `None` if its release is not understood.
    #[must_use]
    pub fn running() -> Option<Self> {
        KernelVersion::of_release(&rustix::system::uname().release().to_string_lossy())
    }

    /// Reads what `uname -r` prints: `6.12.57+deb13-amd64` is 6.12.57. `None` if it does not begin with a number.
    #[must_use]
    pub fn of_release(release: &str) -> Option<Self> {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut numbers = [0; 3];
        let mut rest = release;
        for (index, number) in numbers.iter_mut().enumerate() {
            let (here, after) = rest.split_at(digits(rest));
            if here.is_empty() {
                return (index > 0).then_some(KernelVersion::from(numbers));
            }
            *number = here.parse().ok()?;
            let Some(next) = after.strip_prefix('.') else { break };
            rest = next;
        }
        Some(KernelVersion::from(numbers))
    }
}

impl From<[u32; 3]> for KernelVersion {
    fn from([major, minor, patch]: [u32; 3]) -> Self {
        KernelVersion { major, minor, patch }
    }
}

impl FromStr for KernelVersion {
    type Err = ParseKernelVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseKernelVersionError(text.to_owned());
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for (index, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                // No sign, no space: `parse` alone would take `+6`.
                Some(part) if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                    *number = part.parse().map_err(|_| wrong())?;
                }
                None if index > 1 => {}
                _ => return Err(wrong()),
            }
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(KernelVersion::from(numbers)) }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 { write!(f, ".{}", self.patch) } else { Ok(()) }
    }
}

impl Serialize for KernelVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KernelVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The kernels that a rule holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelRange {
    /// The first that it holds for; without it, every one before `until`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<KernelVersion>,
    /// The first that it holds no longer for; without it, every one after `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<KernelVersion>,
}

impl KernelRange {
    /// Whether a kernel is in the range. One whose release is not understood is in every range: a rule too many costs
    /// some padding, one too few a wrong picture.
    #[must_use]
    pub fn contains(&self, kernel: Option<KernelVersion>) -> bool {
        kernel.is_none_or(|kernel| {
            self.from.is_none_or(|from| kernel >= from) && self.until.is_none_or(|until| kernel < until)
        })
    }

    /// Whether no kernel is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.zip(self.until).is_some_and(|(from, until)| from >= until)
    }

    /// Whether a kernel can be in both.
    #[must_use]
    pub fn overlaps(&self, other: &KernelRange) -> bool {
        let before =
            |a: &KernelRange, b: &KernelRange| a.until.zip(b.from).is_some_and(|(until, from)| until <= from);
        !before(self, other) && !before(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> KernelVersion {
        text.parse().expect("a release")
    }

    #[test]
    fn releases_are_read_as_distributions_print_them() {
        for (release, wanted) in [
            ("7.3.4", Some([7, 3, 4])),
            ("6.12.57+deb13-amd64", Some([6, 12, 57])),
            ("6.1-rt5", Some([6, 1, 0])),
            ("6", Some([6, 0, 0])),
            ("6.", Some([6, 0, 0])),
            ("", None),
            ("linux", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(KernelVersion::of_release(release), wanted.map(KernelVersion::from), "{release}");
        }
    }

    #[test]
    fn a_table_writes_releases_exactly() {
        assert_eq!(version("6.12"), KernelVersion::from([6, 12, 0]));
        assert!(version("6.9") < version("6.12"), "numbers, not text");
        for wrong in ["", "6", "6.", "6.12.3.4", "6.12-rc1", "+6.1", " 6.1", "6.x"] {
            assert!(wrong.parse::<KernelVersion>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ranges_begin_with_their_first_kernel_and_end_before_their_last() {
        let range = |from: Option<&str>, until: Option<&str>| KernelRange {
            from: from.map(version),
            until: until.map(version),
        };
        let some = range(Some("6.1"), Some("6.12"));
        for (kernel, inside) in [("6.0.99", false), ("6.1", true), ("6.11.9", true), ("6.12", false)] {
            assert_eq!(some.contains(Some(version(kernel))), inside, "{kernel}");
        }
        assert!(some.contains(None) && range(None, None).contains(Some(version("2.6"))));
        assert!(range(Some("6.1"), Some("6.1")).is_empty() && !some.is_empty());
        assert!(some.overlaps(&range(Some("6.11"), None)) && some.overlaps(&range(None, None)));
        assert!(!some.overlaps(&range(Some("6.12"), None)) && !range(Some("6.12"), None).overlaps(&some));
    }
}
