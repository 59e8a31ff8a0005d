//! Outputs while the session runs: they come, go and change their mode, and windows and clients follow.
//!
//! | file | what it holds |
//! |---|---|
//! | `row` | where outputs stand, and where a window goes when they move: pure |
//! | `arrange` | outputs in their row, and every window told of it |
//! | `gone` | what is left of an output that has gone: nothing |
//! | `dark` | clients while there is no output at all |
//! | `told` | outputs as `heapwright msg` tells of them, and their modes changed |

mod arrange;
mod dark;
mod gone;
mod row;
mod told;

pub use dark::Dark;
pub use gone::withdraw;
pub use row::right_end;
