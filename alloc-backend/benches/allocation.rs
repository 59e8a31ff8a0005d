//! What a buffer costs through this crate, beside the bare ioctl: as root, where there is a dma-heap.
//!
//! `cargo bench -p heapwright-alloc --bench allocation`, or in the lab's guest: build it with `--no-run`, and run the
//! program that cargo names with `lab uml --mount DIRECTORY:/run/bench '/run/bench/PROGRAM --bench'`.
//!
//! Other work on the machine, and a guest whose clock ticks every 10 ms, make sums worth little. So each single call is
//! timed by the processor's counter, in turns with the bare ioctl, and medians are compared.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heapwright_alloc::buffers::{Allocator, Buffer, Layout, Owner, PoolLimits, Want, Wipe, dma_buf};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::cpu_participant;
use heapwright_alloc::heaps::{DmaHeap, Heap, HeapList, Request, Root};
use heapwright_alloc::solver::PlaneLayout;
use rustix::ioctl::{Updater, ioctl, opcode};

/// Each way is measured for so long.
const SPAN: Duration = Duration::from_secs(3);
/// And this often at least; odd, so that one is the median.
const LEAST: usize = 101;

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
    /// Ticks that one takes.
    fn time(&mut self) -> Result<u64> {
        let start = ticks();
        (self.once)()?;
        Ok(ticks().wrapping_sub(start))
    }
}

/// The processor's counter: it runs at one speed, and reading it asks no kernel.
#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe, reason = "newer compilers know it as safe")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Nanoseconds, where the clock is good enough.
#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// Ticks in a microsecond.
fn speed() -> f64 {
    let (start, first) = (Instant::now(), ticks());
    while start.elapsed() < Duration::from_millis(500) {
        std::hint::spin_loop();
    }
    ticks().wrapping_sub(first) as f64 / (start.elapsed().as_secs_f64() * 1e6)
}

fn gone<T>(made: T) -> Result<()> {
    drop(black_box(made));
    Ok(())
}

fn median(values: &mut [u64]) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).map_or(f64::NAN, |ticks| *ticks as f64)
}

fn measure(out: &mut impl std::io::Write, path: &Path, size: Size, speed: f64) -> Result<()> {
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
    let want = Want { size, participants, count: 1, name: "bench", dma_buf_only: true, ..Want::default() };
    let (mut turn, mut other) = (2, 2);

    let mut the_ioctl = Way { name: "bare ioctl", once: Box::new(|| gone(bare(&node, bytes)?)) };
    let ways = [
        Way {
            name: "bare ioctl, and one that names the buffer",
            once: Box::new(|| {
                let fd = bare(&node, bytes)?;
                dma_buf::set_name(fd.as_fd(), "bench")?;
                gone(fd)
            }),
        },
        Way {
            name: "Heap::allocate",
            once: Box::new(|| gone(heap.allocate(&Request::bytes(bytes, "bench"))?)),
        },
        Way {
            name: "Buffer::allocate, without a name",
            once: Box::new(|| gone(Buffer::allocate(&*heap, &layout, "")?)),
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
    writeln!(out, "{} {size}", path.display())?;
    for mut way in ways {
        let (mut base, mut times) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while start.elapsed() < SPAN || times.len() < LEAST {
            base.push(the_ioctl.time()?);
            times.push(way.time()?);
        }
        let (base, time) = (median(&mut base), median(&mut times));
        let ratio = time / base;
        let words = if ratio < 0.5 {
            format!("{:.1} times faster", 1.0 / ratio)
        } else {
            format!("{:+.1} %", (ratio - 1.0) * 100.0)
        };
        let (base, time, count) = (base / speed, time / speed, times.len());
        writeln!(out, "    {:<44} {time:>9.1} us, ioctl {base:>7.1} us: {words} ({count} times)", way.name)?;
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
    let speed = speed();
    for node in nodes {
        for size in [Size::new(1024, 768), Size::new(3840, 2160)] {
            measure(&mut out, &node.as_ref().map_err(ToString::to_string)?.path(), size, speed)?;
        }
    }
    Ok(())
}
