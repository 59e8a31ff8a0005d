//! Telling others: tranches of linux-dmabuf feedback made from solver answers.

mod tranche;

pub use tranche::{Target, Tranche, TrancheFormat, default_tranches, scanout_tranche, tranche};
