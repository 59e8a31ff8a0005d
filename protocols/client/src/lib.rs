//! The client's side of negotiation: what this program needs of a buffer goes to the compositor, buffers that
//! everybody who touches them can use come back.
//!
//! The client states [`Constraints`] in the words of [`heapwright_alloc`], binds the [`Negotiator`], and asks for an
//! [`Allocation`]. What the compositor answers arrives at the program's [`NegotiationHandler`]: [`Buffers`], which can be
//! mapped and made into `wl_buffer`s, or a [`Refused`] that names which constraints cannot hold together; and later
//! [`Changed`], when it is worth asking again.
//!
//! A client that allocates by itself, by linux-dmabuf feedback alone, learns from [`TrancheTarget`] where memory must lie for
//! the display.
//!
//! ```no_run
//! use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Size};
//! use heapwright_alloc::devices::cpu_participant;
//! use heapwright_client::{
//!     Allocation, Answer, Changed, Constraints, NegotiationHandler, Negotiator, delegate_negotiation,
//! };
//! use wayland_client::globals::{GlobalListContents, registry_queue_init};
//! use wayland_client::{Connection, Dispatch, QueueHandle, protocol::wl_registry::{self, WlRegistry}};
//!
//! #[derive(Default)]
//! struct Client { answer: Option<Answer> }
//!
//! impl NegotiationHandler for Client {
//!     fn answered(&mut self, _: &Allocation, answer: Answer) {
//!         self.answer = Some(answer);
//!     }
//!     fn changed(&mut self, allocation: &Allocation, _: Changed) {
//!         allocation.renegotiate();
//!     }
//! }
//! delegate_negotiation!(Client);
//! # impl Dispatch<WlRegistry, GlobalListContents> for Client {
//! #     fn event(_: &mut Self, _: &WlRegistry, _: wl_registry::Event, _: &GlobalListContents, _: &Connection, _: &QueueHandle<Self>) {}
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::connect_to_env()?;
//! let (globals, mut queue) = registry_queue_init::<Client>(&connection)?;
//! let negotiator = Negotiator::bind(&globals, &queue.handle())?;
//! let painter = cpu_participant(
//!     "painter",
//!     &[Fourcc::XRGB8888],
//!     CpuAccess { read: Frequency::None, write: Frequency::Often },
//! );
//! let constraints = Constraints::default().with(painter);
//! negotiator.allocate(&queue.handle(), &constraints, None, Size::new(640, 480), 3)?;
//! let mut client = Client::default();
//! while client.answer.is_none() {
//!     queue.blocking_dispatch(&mut client)?;
//! }
//! # Ok(())
//! # }
//! ```

mod allocation;
mod answer;
mod constraints;
mod negotiator;
#[doc(hidden)]
pub mod said;
mod target;

pub use allocation::{Allocation, AllocationData, NegotiationHandler};
pub use answer::{Answer, Buffers, Changed, Conflict, Outcome, Reason, Refused};
pub use constraints::{Constraints, Inexpressible};
pub use heapwright_protocols::allocation::client as protocol;
pub use negotiator::{Negotiator, Quota, QuotaData};
pub use target::TrancheTarget;
#[doc(hidden)]
pub use wayland_client;
