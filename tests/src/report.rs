//! What a program of a scenario reported as JSON.

use serde_json::Value;

use crate::lab::Outcome;

/// The report that was left in this file of `$LAB_OUT`.
///
/// # Panics
/// When there is none, or it is no JSON; with what the scenario said last.
#[must_use]
#[allow(clippy::panic, reason = "tests can go no further without it")]
pub fn report(outcome: &Outcome, name: &str) -> Value {
    let text = outcome.text(name).unwrap_or_default();
    serde_json::from_str(text.trim())
        .unwrap_or_else(|error| panic!("{name}: {error}\n{text}\n{}", outcome.tail()))
}
