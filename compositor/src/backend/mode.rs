//! Which of a display's modes is used: the one that was asked for, or the one that the display prefers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Furthest that an offered refresh rate may be from the one asked for, millihertz: 59.94 Hz is sold as 60.
const TOLERANCE: u32 = 500;

/// A mode as a display offers it.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Pixels.
    pub size: (u16, u16),
    /// Refresh rate.
    pub millihertz: u32,
    /// Whether the display prefers it.
    pub preferred: bool,
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        write!(f, "{width}x{height}@{:.2}", f64::from(self.millihertz) / 1e3)
    }
}

/// A mode as it is asked for: `1920x1080` or `1920x1080@60`.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WantedMode {
    /// Pixels.
    pub size: (u16, u16),
    /// Refresh rate; without one, the preferred of that size or the fastest.
    pub millihertz: Option<u32>,
}

impl FromStr for WantedMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no mode: give width x height in pixels and, if it matters, the rate in Hz, as 1920x1080@60"
            )
        };
        let (size, rate) = match text.split_once('@') {
            Some((size, rate)) => (size, Some(rate)),
            None => (text, None),
        };
        let side = |text: &str| text.parse().ok().filter(|side| *side > 0).ok_or_else(wrong);
        let (width, height) = size.split_once('x').ok_or_else(wrong)?;
        let millihertz = match rate.map(str::parse::<f64>) {
            None => None,
            Some(Ok(hertz)) if (1.0..=10_000.0).contains(&hertz) => Some((hertz * 1e3).round() as u32),
            Some(_) => return Err(wrong()),
        };
        Ok(WantedMode { size: (side(width)?, side(height)?), millihertz })
    }
}

impl fmt::Display for WantedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.size;
        write!(f, "{width}x{height}")?;
        self.millihertz.map_or(Ok(()), |rate| write!(f, "@{}", f64::from(rate) / 1e3))
    }
}

impl TryFrom<String> for WantedMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<WantedMode> for String {
    fn from(mode: WantedMode) -> Self {
        mode.to_string()
    }
}

/// The index of the mode to use among `offered`; `None` when what was asked for is not among them, or there is none.
#[must_use]
pub fn choose(offered: &[Offered], wanted: Option<WantedMode>) -> Option<usize> {
    let all = || offered.iter().enumerate();
    let chosen = match wanted {
        None => all()
            .find(|(_, mode)| mode.preferred)
            .or_else(|| all().max_by_key(|(_, mode)| u32::from(mode.size.0) * u32::from(mode.size.1))),
        Some(WantedMode { size, millihertz: Some(rate) }) => all()
            .filter(|(_, mode)| mode.size == size && mode.millihertz.abs_diff(rate) <= TOLERANCE)
            .min_by_key(|(_, mode)| mode.millihertz.abs_diff(rate)),
        Some(WantedMode { size, millihertz: None }) => all()
            .filter(|(_, mode)| mode.size == size)
            .max_by_key(|(_, mode)| (mode.preferred, mode.millihertz)),
    };
    chosen.map(|(index, _)| index)
}

/// The index of the mode to use among `offered`: that of the first wish that can be granted, else the display's own.
#[must_use]
pub fn choose_of(offered: &[Offered], wishes: impl IntoIterator<Item = WantedMode>) -> Option<usize> {
    let granted = wishes.into_iter().find_map(|wish| choose(offered, Some(wish)));
    granted.or_else(|| choose(offered, None))
}

/// Why no mode was chosen, with the modes that there are.
#[must_use]
pub fn refusal(offered: &[Offered], wanted: Option<WantedMode>) -> String {
    let Some(wanted) = wanted.filter(|_| !offered.is_empty()) else { return "it offers no mode".to_owned() };
    let list: Vec<_> = offered.iter().map(ToString::to_string).collect();
    format!("it does not offer the mode {wanted}; with --mode, give one of {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [Offered; 4] = [
        Offered { size: (1920, 1080), millihertz: 59_940, preferred: false },
        Offered { size: (1920, 1080), millihertz: 120_000, preferred: false },
        Offered { size: (1024, 768), millihertz: 60_000, preferred: true },
        Offered { size: (4096, 2160), millihertz: 30_000, preferred: false },
    ];

    fn chosen(wanted: &str) -> Option<usize> {
        choose(&OFFERED, Some(wanted.parse().expect("a mode")))
    }

    #[test]
    fn what_is_asked_for_is_taken_or_nothing() {
        for (wanted, index) in [
            ("1920x1080", Some(1)),
            ("1920x1080@60", Some(0)),
            ("1920x1080@59.94", Some(0)),
            ("1920x1080@119.88", Some(1)),
            ("1920x1080@75", None),
            ("1024x768", Some(2)),
            ("1080x1920", None),
        ] {
            assert_eq!(chosen(wanted), index, "{wanted}");
        }
    }

    #[test]
    fn without_a_wish_the_displays_own_counts_then_the_largest() {
        assert_eq!(choose(&OFFERED, None), Some(2));
        assert_eq!(choose(&OFFERED[..2], None), Some(1));
        assert_eq!(choose(&[], None), None);
    }

    #[test]
    fn the_first_wish_that_can_be_granted_counts() {
        let wish = |text: &str| text.parse().expect("a mode");
        let wishes = [wish("800x600"), wish("4096x2160"), wish("1920x1080")];
        assert_eq!(choose_of(&OFFERED, wishes), Some(3));
        assert_eq!(choose_of(&OFFERED, wishes.into_iter().take(1)), Some(2), "none: the display's own");
        assert_eq!(choose_of(&[], wishes), None);
    }

    #[test]
    fn a_refusal_lists_what_there_is() {
        let wanted = "800x600@75".parse().ok();
        let said = refusal(&OFFERED[1..3], wanted);
        assert!(
            said.contains("the mode 800x600@75;") && said.ends_with("1920x1080@120.00, 1024x768@60.00"),
            "{said}"
        );
        assert_eq!(refusal(&[], wanted), "it offers no mode");
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in [
            "",
            "x",
            "0x0",
            "1920",
            "1920x1080@",
            "1920x1080@0",
            "1920x1080@nan",
            "1920x1080@60@60",
            "99999x1",
            "-1x1",
        ] {
            assert!(text.parse::<WantedMode>().is_err(), "{text} must be refused");
        }
    }
}
