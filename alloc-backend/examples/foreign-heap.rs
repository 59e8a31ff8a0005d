//! A heap of one's own: a vendor's pool, a hypervisor's, or a test's. Needs no device, and runs on any machine.
//!
//! `cargo run --example foreign-heap`

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use heapwright_alloc::buffers::{Allocator, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Size};
use heapwright_alloc::devices::cpu_participant;
use heapwright_alloc::heaps::{self, AllocError, Allocation, Heap, HeapId, MemfdHeap, Request, Root};
use heapwright_alloc::solver::problem::HeapFacts;

/// Lends out another heap's memory, contiguous by its own word, and none larger than a megabyte.
#[derive(Debug)]
struct Vendor(HeapId, MemfdHeap);

const MAX_BYTES: u64 = 1 << 20;

impl Heap for Vendor {
    fn id(&self) -> &HeapId {
        &self.0
    }

    fn facts(&self) -> HeapFacts {
        let (id, names) = (self.0.to_string(), vec!["vendor".to_owned()]);
        HeapFacts { id, names, contiguous: true, cached: true, max_bytes: Some(MAX_BYTES), ..self.1.facts() }
    }

    fn makes_dma_bufs(&self) -> bool {
        false
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let (heap, bytes, limit) = (self.0.clone(), request.bytes, "the vendor's word".to_owned());
        if bytes > MAX_BYTES {
            return Err(AllocError::TooLarge { heap, bytes, max_bytes: MAX_BYTES, limit });
        }
        self.1.allocate(request)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Root::default();
    let mut found = heaps::list(&root);
    found.heaps.push(Arc::new(Vendor(HeapId::new("vendor:0"), MemfdHeap::new(&root))));
    let allocator = Allocator::new(found);
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    let mut codec = cpu_participant("codec", &[Fourcc::XRGB8888], often);
    codec.memory.contiguous = true;
    for size in [Size::new(640, 400), Size::new(1920, 1080)] {
        let want = Want { size, participants: vec![codec.clone()], count: 1, ..Want::default() };
        match allocator.allocate(&want) {
            Ok(made) => writeln!(std::io::stdout(), "{size}: heap {}", made.resolution.heap)?,
            Err(error) => writeln!(std::io::stdout(), "{size}: {error}")?,
        }
    }
    Ok(())
}
