//! Which device can use which heap, and the evidence for it.
//!
//! The kernel has no call that says so. What is declared (an IOMMU in sysfs) is read; the rest is tried, on a buffer of
//! the layout that will be used ([`probe`]). Nothing tried is ever shown: a framebuffer is made and removed, and a
//! commit is only tested. A table of quirks ([`quirks`]: driver, kernel range, rule, source) stands beside these two; its
//! entries become [`Link`](crate::solver::problem::Link)s with evidence `table`, or limits.
//!
//! A probe that passed is evidence for its size and layout only, and for memory in pieces it is weak: a heap may hand
//! out adjacent pieces by luck. Therefore [`probe_scattered`] asks the question luck cannot answer.

mod cache;
mod count;
mod gem;
mod probe;
mod probe_renderer;
pub mod quirks;
mod scatter;
mod store;
mod test_commit;
mod video;

pub use cache::LinkCache;
pub use count::ProbeCount;
pub use probe::{Outcome, Probe, Step, check, probe};
pub(crate) use probe::{check_with_test, probe_with_test};
pub use probe_renderer::probe_renderer;
pub use scatter::probe_scattered;
pub use store::{LinkStore, Trust};
pub(crate) use test_commit::Test;
pub use video::{probe_scattered_video, probe_video};
