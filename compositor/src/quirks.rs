//! What is known of drivers on this machine.

use heapwright_alloc::links::quirks::{Table, installed, usual_paths};
use tracing::warn;

/// The table of the program with those of the machine and the user on top. One that is wrong is said so and left out.
#[must_use]
pub fn table() -> Table {
    let (table, errors) = installed(&usual_paths());
    for error in errors {
        warn!(%error, "quirk table that is not used");
    }
    table
}
