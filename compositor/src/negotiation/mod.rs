//! Our own protocol: clients state constraints, and get buffers that everybody can use.
//!
//! | file | what it holds |
//! |---|---|
//! | `statement` | what a client states of its side, in the solver's words: pure |
//! | `question` | the client's side joined with ours |
//! | `answer` | what the allocator says, as events |
//! | `account` | whose buffers they are |
//! | `objects` | the global and its objects |
//! | `queue` | which question is next, and what becomes of the answer |
//! | `turns` | whose turn it is: pure |
//! | `worker` | the thread that allocates |
//!
//! Invariants:
//! 1. A question is answered once, and a client's questions in their order.
//! 2. One question is answered at a time, beside the event loop, and clients take turns: who asks much waits himself.
//! 3. Whatever a client gets counts against its account until the kernel says that it let go.

mod account;
mod answer;
mod objects;
mod question;
mod queue;
mod statement;
mod turns;
mod worker;

pub use account::Account;
pub use answer::Told;
pub use objects::{AllocationData, ConstraintsData};
pub use question::Question;
pub use queue::Negotiations;
pub use statement::{Refusal, Statement};
