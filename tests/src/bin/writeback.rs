//! `writeback`: a photograph of what a display really shows, taken by the display itself.
//!
//! A writeback connector writes what its CRTC makes of all planes into memory. Only the master of a device can ask for
//! it, so this borrows the file of a process that is one: for scenarios of the lab, as root.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicI32, Ordering},
};

use clap::Parser;
use drm::{
    ClientCapability, Device as _, VblankWaitFlags, VblankWaitTarget,
    buffer::DrmFourcc,
    control::{
        AtomicCommitFlags, Device as _, RawResourceHandle, atomic::AtomicModeReq, connector, crtc, property,
    },
};
use heapwright_tests::photograph::Photograph;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

/// Photographs a display through its writeback connector.
#[derive(Debug, Parser)]
#[command(name = "writeback")]
struct Cli {
    /// The device, for instance /dev/dri/card1.
    device: PathBuf,
    /// The process that is its master.
    pid: i32,
    /// Where the picture goes: a PNG.
    png: PathBuf,
    /// Take each so many-th pixel of each so many-th row.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    shrink: u32,
    /// Leave the connector where it is, as a program does that is killed between a photograph and its end.
    #[arg(long)]
    leave: bool,
}

/// The master's own file.
struct Borrowed(OwnedFd);

impl AsFd for Borrowed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Borrowed {}
impl drm::control::Device for Borrowed {}

/// The file through which process `pid` has `device` open.
fn borrow(device: &Path, pid: i32) -> io::Result<Borrowed> {
    let process = Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process has this number"))?;
    let pidfd = pidfd_open(process, PidfdFlags::empty())?;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let (Ok(target), Some(number)) = (std::fs::read_link(entry.path()), number) {
            if target == device {
                return Ok(Borrowed(pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty())?));
            }
        }
    }
    Err(io::Error::other(format!("process {pid} has not opened {}", device.display())))
}

/// The properties of an object by name.
fn properties<T>(device: &Borrowed, object: T) -> io::Result<HashMap<String, property::Info>>
where
    T: drm::control::ResourceHandle,
{
    device.get_properties(object)?.as_hashmap(device)
}

/// Adds a value by the property's name.
fn set(
    request: &mut AtomicModeReq,
    object: impl Into<RawResourceHandle>,
    properties: &HashMap<String, property::Info>,
    name: &str,
    value: u64,
) -> io::Result<()> {
    let property = properties.get(name).ok_or_else(|| io::Error::other(format!("there is no {name}")))?;
    request.add_raw_property(object.into(), property.handle(), value);
    Ok(())
}

/// A connector that writes, and a lit CRTC.
fn find(device: &Borrowed) -> io::Result<(connector::Handle, crtc::Info)> {
    let resources = device.resource_handles()?;
    let writes = |handle: &&connector::Handle| {
        device
            .get_connector(**handle, false)
            .is_ok_and(|info| info.interface() == connector::Interface::Writeback)
    };
    let writer = resources.connectors().iter().find(writes);
    let lit = resources.crtcs().iter().filter_map(|crtc| device.get_crtc(*crtc).ok());
    let lit = lit.into_iter().find(|crtc| crtc.mode().is_some());
    match (writer, lit) {
        (Some(writer), Some(lit)) => Ok((*writer, lit)),
        (None, _) => Err(io::Error::other("the device has no writeback connector")),
        (_, None) => Err(io::Error::other("no CRTC is lit")),
    }
}

/// The picture: pixels a row, and the rows of XRGB8888 without padding.
fn photograph(device: &Borrowed, leave: bool) -> io::Result<(u32, Vec<u8>)> {
    // Of this file, and so of the master's: taken back below.
    device.set_client_capability(ClientCapability::WritebackConnectors, true)?;
    let (writer, crtc) = find(device)?;
    let (width, height) = crtc.mode().map(|mode| mode.size()).unwrap_or_default();
    let size = (u32::from(width), u32::from(height));
    let mut buffer = device.create_dumb_buffer(size, DrmFourcc::Xrgb8888, 32)?;
    let framebuffer = device.add_framebuffer(&buffer, 24, 32)?;
    let of_writer = properties(device, writer)?;
    // The kernel writes a descriptor here, before the commit returns.
    let fence = AtomicI32::new(-1);
    let mut request = AtomicModeReq::new();
    set(&mut request, writer, &of_writer, "CRTC_ID", u32::from(crtc.handle()).into())?;
    // By itself, and a refresh before it is used: in one commit with the modeset, vkms (Linux 7.3) writes nothing.
    device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request)?;
    device.wait_vblank(VblankWaitTarget::Relative(2), VblankWaitFlags::empty(), 0, 0)?;
    let mut request = AtomicModeReq::new();
    set(&mut request, writer, &of_writer, "CRTC_ID", u32::from(crtc.handle()).into())?;
    set(&mut request, writer, &of_writer, "WRITEBACK_FB_ID", u32::from(framebuffer).into())?;
    set(&mut request, writer, &of_writer, "WRITEBACK_OUT_FENCE_PTR", fence.as_ptr() as u64)?;
    device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request)?;
    let fence = fence.load(Ordering::SeqCst);
    if fence < 0 {
        return Err(io::Error::other("the kernel gave no fence"));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let fence = unsafe { OwnedFd::from_raw_fd(fence) };
    let patience = rustix::time::Timespec { tv_sec: 5, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&fence, PollFlags::IN)], Some(&patience))? == 0 {
        return Err(io::Error::other("nothing was written in five seconds"));
    }
    let pitch = drm::buffer::Buffer::pitch(&buffer) as usize;
    let row = size.0 as usize * 4;
    let rows =
        device.map_dumb_buffer(&mut buffer)?.chunks(pitch).flat_map(|line| line[..row].to_vec()).collect();
    if leave {
        return Ok((size.0, rows));
    }
    let mut request = AtomicModeReq::new();
    set(&mut request, writer, &of_writer, "CRTC_ID", 0)?;
    device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request)?;
    device.destroy_framebuffer(framebuffer)?;
    device.destroy_dumb_buffer(buffer)?;
    device.set_client_capability(ClientCapability::WritebackConnectors, false)?;
    Ok((size.0, rows))
}

fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    let device = borrow(&cli.device, cli.pid)?;
    let (width, rows) = photograph(&device, cli.leave)?;
    fs::write(&cli.png, Photograph::of_xrgb(width, &rows).png(cli.shrink)?)?;
    Ok(())
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "writeback: {error}");
            ExitCode::FAILURE
        }
    }
}
