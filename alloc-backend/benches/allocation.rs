//! What a buffer costs through this crate, beside the bare ioctl: as root, where there is a dma-heap.
//!
//! `cargo bench -p heapwright-alloc --bench allocation`, or in the lab's guest: build it with `--no-run`, and run the
//! program that cargo names with `lab uml --mount DIRECTORY:/run/bench '/run/bench/PROGRAM --bench'`.
//!
//! Other work on the machine, and a guest whose clock ticks every 10 ms, make single times worth little. So each way is
//! timed in long batches, each beside a batch of the bare ioctl, and the median of the ratios is what counts.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heapwright_alloc::buffers::{Allocator, Buffer, Layout, Owner, PoolLimits, Want, Wipe};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::cpu_participant;
use heapwright_alloc::heaps::{DmaHeap, Heap, HeapList, Request, Root};
use heapwright_alloc::solver::PlaneLayout;
use rustix::ioctl::{Updater, ioctl, opcode};

/// A batch takes at least this long.
const BATCH: Duration = Duration::from_millis(250);
/// Pairs of batches; odd, so that one is the median.
const PAIRS: usize = 9;

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct AllocationData {
    bytes: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// `DMA_HEAP_IOCTL_ALLOC`.
const ALLOC: u32 = opcode::read_write::<AllocationData>(b'H', 0);

/// Nothing but the ioctl.
fn bare(heap: &File, bytes: u64) -> rustix::io::Result<OwnedFd> {
    let fd_flags = rustix::fs::OFlags::RDWR.union(rustix::fs::OFlags::CLOEXEC).bits();
    let mut data = AllocationData { bytes, fd: 0, fd_flags, heap_flags: 0 };
    // SAFETY: the kernel reads and writes one `struct dma_heap_allocation_data`.
    unsafe { ioctl(heap.as_fd(), Updater::<ALLOC, AllocationData>::new(&mut data)) }?;
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(data.fd as i32) })
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One way to have a buffer and give it back.
struct Way<'a> {
    name: &'static str,
    once: Box<dyn FnMut() -> Result<()> + 'a>,
}

impl Way<'_> {
    /// Seconds for each of `count`.
    fn time(&mut self, count: u32) -> Result<f64> {
        let start = Instant::now();
        for _ in 0..count {
            (self.once)()?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(count))
    }

    /// How many make a batch; warms up on the way.
    fn batch(&mut self) -> Result<u32> {
        let mut count = 16;
        loop {
            let start = Instant::now();
            self.time(count)?;
            if start.elapsed() >= BATCH {
                return Ok(count);
            }
            count *= 2;
        }
    }
}

fn gone<T>(made: T) -> Result<()> {
    drop(black_box(made));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn measure(out: &mut impl std::io::Write, path: &Path, size: Size) -> Result<()> {
    let node = File::open(path)?;
    let heap: Arc<dyn Heap> = Arc::new(DmaHeap::open(path, &Root::default())?);
    let allocator = Allocator::new(HeapList { heaps: vec![Arc::clone(&heap)], problems: Vec::new() });
    let pool = allocator.pool(PoolLimits::default());
    let wiping = allocator.pool(PoolLimits { wipe: Wipe::Everywhere, ..PoolLimits::default() });
    let pitch = u64::from(size.width) * 4;
    let bytes = pitch * u64::from(size.height);
    let planes = vec![PlaneLayout { offset: 0, pitch, size: bytes }];
    let layout = Layout::new(size, Fourcc::XRGB8888, Modifier::LINEAR, planes, bytes)?;
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    let participants = vec![cpu_participant("painter", &[Fourcc::XRGB8888], often)];
    let want = Want { size, participants, count: 1, name: "bench", dma_buf_only: true };
    let (mut turn, mut other) = (2, 2);

    let mut the_ioctl = Way { name: "bare ioctl", once: Box::new(|| gone(bare(&node, bytes)?)) };
    let ways = [
        Way {
            name: "Heap::allocate",
            once: Box::new(|| gone(heap.allocate(&Request::bytes(bytes, "bench"))?)),
        },
        Way {
            name: "Buffer::allocate, named and laid out",
            once: Box::new(|| gone(Buffer::allocate(&*heap, &layout, "bench")?)),
        },
        Way { name: "Allocator::allocate, solved anew", once: Box::new(|| gone(allocator.allocate(&want)?)) },
        Way {
            name: "BufferPool, same owner",
            once: Box::new(|| gone(pool.take(&*heap, &layout, Owner::new(0), "bench")?)),
        },
        Way {
            name: "BufferPool, solved anew",
            once: Box::new(|| gone(allocator.allocate_pooled(&want, &pool, Owner::new(0))?)),
        },
        Way {
            name: "BufferPool, same owner, back from outside",
            once: Box::new(|| {
                let buffer = pool.take(&*heap, &layout, Owner::new(1), "bench")?;
                buffer.export()?;
                gone(buffer)
            }),
        },
        Way {
            name: "BufferPool, another owner: fresh",
            once: Box::new(|| {
                turn += 1;
                gone(pool.take(&*heap, &layout, Owner::new(turn), "bench")?)
            }),
        },
        Way {
            name: "BufferPool, another owner: wiped",
            once: Box::new(|| {
                other += 1;
                gone(wiping.take(&*heap, &layout, Owner::new(other), "bench")?)
            }),
        },
    ];
    let base_count = the_ioctl.batch()?;
    let time = the_ioctl.time(base_count)? * 1e6;
    writeln!(out, "{} {size}: {} {time:.1} us", path.display(), the_ioctl.name)?;
    for mut way in ways {
        let count = way.batch()?;
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let first = if pair % 2 == 0 { Some(the_ioctl.time(base_count)?) } else { None };
            let time = way.time(count)?;
            let base = first.map_or_else(|| the_ioctl.time(base_count), Ok)?;
            ratios.push(time / base);
            times.push(time * 1e6);
        }
        let ratio = median(ratios);
        let words = if ratio < 0.5 {
            format!("{:.1} times faster", 1.0 / ratio)
        } else {
            format!("{:+.1} %", (ratio - 1.0) * 100.0)
        };
        writeln!(out, "    {:<44} {:>9.1} us   {words}", way.name, median(times))?;
    }
    Ok(())
}

fn main() -> Result<()> {
    // cargo test builds benchmarks too, and starts them without this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let nodes = fs::read_dir("/dev/dma_heap").map_err(|error| format!("/dev/dma_heap: {error}"))?;
    for node in nodes {
        for size in [Size::new(1024, 768), Size::new(3840, 2160)] {
            measure(&mut out, &node.as_ref().map_err(ToString::to_string)?.path(), size)?;
        }
    }
    Ok(())
}
