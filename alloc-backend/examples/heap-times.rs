//! How long each heap takes to make a buffer, and a display to try one: `heap-times /dev/dri/card1`, as root.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use heapwright_alloc::buffers::{Buffer, Layout};
use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use heapwright_alloc::devices::KmsDevice;
use heapwright_alloc::heaps::{self, DumbHeap, Root};
use heapwright_alloc::links::probe;
use heapwright_alloc::solver::PlaneLayout;

/// The clock of User-Mode Linux ticks every 10 ms, so many are timed together.
const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: heap-times DEVICE")?;
    let device = Arc::new(KmsDevice::open(Path::new(&path))?);
    let mut found = heaps::list(&Root::default());
    if let Some(dumb) = DumbHeap::new(Arc::clone(&device)) {
        found.heaps.push(Arc::new(dumb));
    }
    let mut out = std::io::stdout().lock();
    for heap in &found.heaps {
        for size in [Size::new(1024, 768), Size::new(1920, 1080)] {
            let pitch = u64::from(size.width) * 4;
            let bytes = pitch * u64::from(size.height);
            let planes = vec![PlaneLayout { offset: 0, pitch, size: bytes }];
            let layout = Layout::new(size, Fourcc::XRGB8888, Modifier::LINEAR, planes, bytes)?;
            let start = Instant::now();
            for _ in 0..ROUNDS {
                Buffer::allocate(&**heap, &layout, "heap-times")?;
            }
            let allocate = start.elapsed() / ROUNDS;
            let start = Instant::now();
            for _ in 0..ROUNDS {
                probe(&device, &**heap, &layout);
            }
            let probed = start.elapsed() / ROUNDS;
            writeln!(out, "{} {size}: allocate {allocate:?}, allocate and probe {probed:?}", heap.id())?;
        }
    }
    Ok(())
}
