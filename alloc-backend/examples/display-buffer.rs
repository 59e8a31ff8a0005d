//! A buffer that a display can show, from nothing but the device's path: which heap, which layout, and why.
//!
//! `cargo run --example display-buffer -- /dev/dri/card1 1920x1080`

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use heapwright_alloc::buffers::{Allocator, Want};
use heapwright_alloc::constraints::Size;
use heapwright_alloc::devices::KmsDevice;
use heapwright_alloc::heaps::{self, Root};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(std::io::stderr(), "display-buffer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: display-buffer DEVICE [WIDTHxHEIGHT]")?;
    let size: Size = args.next().as_deref().unwrap_or("1024x768").parse()?;
    let mut out = std::io::stdout().lock();

    let device = Arc::new(KmsDevice::open(Path::new(&path))?);
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(Arc::clone(&device));
    for problem in &allocator.heaps().problems {
        writeln!(out, "not usable: {problem}")?;
    }
    let pieces = device.takes_scattered().map_or("unknown", |takes| if takes { "yes" } else { "no" });
    writeln!(out, "device {} ({}), memory in pieces: {pieces}", device.name(), device.driver())?;

    let crtc = device.crtcs().first().ok_or("the device has no CRTC")?.id;
    let mut screen = device.participant(crtc, "screen");
    screen.required = true;
    let want = Want { size, participants: vec![screen], count: 1, name: "example", dma_buf_only: true };
    let made = allocator.allocate(&want)?;
    for buffer in &made.buffers {
        let pitch = buffer.planes().first().map_or(0, |plane| plane.pitch);
        writeln!(
            out,
            "heap {} format {} modifier {} size {} pitch {pitch} bytes {}",
            made.resolution.heap,
            buffer.format(),
            buffer.modifier(),
            buffer.size(),
            buffer.bytes()
        )?;
        if let Ok(mut mapping) = buffer.map() {
            mapping.write()?.fill(0xff);
        }
    }
    for probe in allocator.links().probes() {
        writeln!(out, "link: {probe}")?;
    }
    Ok(())
}
