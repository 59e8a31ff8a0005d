//! What is known of drivers from their source and from the field, and cannot be asked of the kernel.
//!
//! A rule says for which driver and which kernels it holds, what it says, and where that is written. Rules narrow the
//! options of a display's planes ([`Table::narrow`]) and become links with evidence `table` ([`Table::links`]); they never
//! widen anything. A link that is known bad beats a probe that passed: some drivers take a buffer and show garbage.
//!
//! | file | what it holds |
//! |---|---|
//! | `table` | the table, read and checked: pure |
//! | `rule` | one rule, and what it does: pure |
//! | `kernel_version` | releases in their order: pure |
//! | `installed` | the table in the program, and those of this machine |

mod installed;
mod kernel_version;
mod rule;
mod table;

pub use installed::{InstalledError, installed, usual_paths};
pub use kernel_version::{KernelRange, KernelVersion, ParseKernelVersionError};
pub use rule::{LinkRule, MemoryRule, Rule, Stacking};
pub use table::{QuirkError, Subject, Table, parse};
