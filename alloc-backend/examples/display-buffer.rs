//! A buffer that a display can show, from nothing but the device's path: which heap, which layout, and why.
//!
//! `cargo run --example display-buffer -- /dev/dri/card1 1920x1080`

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use heapwright_alloc::buffers::{Allocator, Want};
use heapwright_alloc::devices::KmsDevice;
use heapwright_alloc::heaps::{self, Root};
use heapwright_alloc::solver::problem::Participant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: display-buffer DEVICE [WIDTHxHEIGHT]")?;
    let size = args.next().as_deref().unwrap_or("1024x768").parse()?;

    let device = Arc::new(KmsDevice::open(Path::new(&path))?);
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(Arc::clone(&device));

    let crtc = device.crtcs().first().ok_or("the device has no CRTC")?.id;
    let screen = Participant { required: true, ..device.participant(crtc, "screen") };
    let want = Want {
        size,
        participants: vec![screen],
        count: 1,
        name: "example",
        dma_buf_only: true,
        ..Want::default()
    };
    let made = allocator.allocate(&want)?;

    let mut out = std::io::stdout().lock();
    for buffer in &made.buffers {
        buffer.map()?.write()?.fill(0xff);
        let (format, modifier, planes) = (buffer.format(), buffer.modifier(), buffer.planes());
        writeln!(out, "{size} {format} {modifier} from heap {}: {planes:?}", made.resolution.heap)?;
    }
    for probe in allocator.links().probes() {
        writeln!(out, "{probe}")?;
    }
    Ok(())
}
