//! What became of each surface in the last frames of each output, and why: written down as frames are drawn, told
//! when somebody asks.
//!
//! | file | what it holds |
//! |---|---|
//! | `verdict` | zero-copy or the reason against it: pure |
//! | `ring` | the last frames of an output: pure |
//! | `planes` | which plane shows what: pure |
//! | `known` | what is known of clients' buffers, asked of the kernel once |
//! | `record` | a drawn frame written down, and answers made of it |

mod known;
mod planes;
mod record;
mod ring;
mod verdict;

pub use known::{Buffers, Known, WL_SHM};
pub use planes::{Lit, assign};
pub use record::{Drawn, Place, places, shown};
pub(crate) use record::{before, forget_output, name_overlays};
pub use ring::{Frame, KEPT, MOST_SURFACES, Plane, Ring, Role, Seen};
pub use verdict::{Facts, Kind, Reason, Verdict};
