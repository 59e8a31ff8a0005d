//! Constraints, solver, heaps and buffers: finds memory that every device touching a buffer can use.
//!
//! A folder is a step of the way a buffer goes; data goes forward, nothing reaches back:
//!
//! | module | step |
//! |---|---|
//! | [`constraints`] | what is wanted: formats, modifiers, sizes, pitches, placement (pure) |
//! | [`devices`] | who wants it: KMS planes, renderers, cameras and codecs, the CPU |
//! | [`heaps`] | where memory is: dma-heap, udmabuf, dumb buffers, memfd |
//! | [`links`] | which device can use which heap, and how we know |
//! | [`solver`] | the decision (pure): problem in, answer with reasons out |
//! | [`buffers`] | the thing: allocation, CPU mapping, names |
//! | [`feedback`] | telling others: tranches of linux-dmabuf feedback |
//! | `smithay` | the bridge to compositors on Smithay, behind the feature of that name |
//! | [`explain`] | all of it for this machine, for people and programs |
//!
//! # A buffer, from nothing
//!
//! Who will touch it, how large it is: the rest is found out. (Here the CPU paints and another process reads; a display
//! is one more participant, from [`devices::KmsDevice::participant`].)
//!
//! ```
//! use heapwright_alloc::buffers::{Allocator, Want};
//! use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Size};
//! use heapwright_alloc::devices::cpu_participant;
//! use heapwright_alloc::heaps::{self, Root};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let allocator = Allocator::new(heaps::list(&Root::default()));
//! let paints = CpuAccess { read: Frequency::None, write: Frequency::Often };
//! let want = Want {
//!     size: Size::new(1024, 768),
//!     participants: vec![cpu_participant("painter", &[Fourcc::XRGB8888], paints)],
//!     count: 2,
//!     name: "example",
//!     dma_buf_only: false,
//!     ..Want::default()
//! };
//! let made = allocator.allocate(&want)?;
//! assert_eq!(made.buffers.len(), 2);
//! let buffer = &made.buffers[0];
//! assert_eq!((buffer.format(), buffer.planes()[0].pitch), (Fourcc::XRGB8888, 4096));
//!
//! let mut mapping = buffer.map()?;
//! mapping.write()?.fill(0xff);
//! // Where it lies, and what spoke against the other places.
//! assert_eq!(made.resolution.satisfied, ["painter"]);
//! println!("in {}: {:?}", made.resolution.heap, made.resolution.reasons);
//! # Ok(())
//! # }
//! ```
//!
//! # Calls that block
//!
//! Everything here runs in the caller's thread and has no time-out: the kernel's allocating calls have none, and cannot be
//! taken back. They may sleep: a contiguous heap moves other pages out of the way, any heap may wait for memory to be
//! written out. Who must not wait allocates in a thread of its own and waits for that as long as it likes; the buffer
//! that comes too late is dropped by whoever finds nobody listening, and nothing is lost.
//!
//! ```
//! use std::sync::{Arc, mpsc};
//! use std::time::Duration;
//!
//! use heapwright_alloc::buffers::{Allocator, Want};
//! use heapwright_alloc::heaps::{self, Root};
//! # use heapwright_alloc::{constraints::*, devices::cpu_participant};
//! # let rare = CpuAccess { read: Frequency::Rare, write: Frequency::Rare };
//! # let participants = vec![cpu_participant("painter", &[Fourcc::XRGB8888], rare)];
//! # let want = Want { size: Size::new(8, 8), participants, count: 1, name: "late", dma_buf_only: false, ..Want::default() };
//!
//! let allocator = Arc::new(Allocator::new(heaps::list(&Root::default())));
//! let (sender, receiver) = mpsc::channel();
//! let worker = Arc::clone(&allocator);
//! std::thread::spawn(move || sender.send(worker.allocate(&want)));
//! match receiver.recv_timeout(Duration::from_secs(5)) {
//!     Ok(made) => drop(made.expect("memory")),
//!     Err(_) => println!("no buffer yet: going on with the one there is"),
//! }
//! ```

pub mod buffers;
pub mod constraints;
pub mod devices;
pub mod explain;
pub mod feedback;
pub mod heaps;
pub mod links;
#[cfg(feature = "smithay")]
pub mod smithay;
pub mod solver;
