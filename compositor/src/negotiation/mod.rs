//! Our own protocol: clients state constraints, and get buffers that everybody can use.

mod statement;

pub use statement::{Refusal, Statement};
