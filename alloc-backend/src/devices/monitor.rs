//! Hearing of devices that come, go and change: a descriptor for an event loop.
//!
//! The kernel tells on a netlink socket; so does udev, after its rules have set who may open the node. Where udev runs, it
//! is listened to, since a node that cannot be opened yet is of no use; elsewhere the kernel. Only root can send on either.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::uevent::{Change, parse};
use crate::heaps::Root;

/// Multicast groups of the socket: the kernel's own messages, and udev's.
const KERNEL: u32 = 1;
const UDEV: u32 = 2;
/// There while udev runs; what libudev itself goes by.
const UDEV_RUNS: &str = "/run/udev/control";
/// No message is longer: the kernel's have at most 2 KiB, udev's a few.
const LONGEST: usize = 16 * 1024;

/// Why nothing can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {what} for changes of devices: {errno}: look at the devices again from time to time instead")]
pub struct MonitorError {
    what: &'static str,
    errno: Errno,
}

/// Hears of displays, GPUs, heaps and video devices from when it was made.
///
/// Poll its descriptor for reading, then call [`Monitor::next_change`] until it says `None`. To see what is there now, list
/// again ([`list`](super::list), [`heaps::list`](crate::heaps::list)); make the monitor before the first listing, so that
/// nothing falls between.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
    dev: PathBuf,
}

impl Monitor {
    /// Starts to listen. Needs no permission.
    ///
    /// # Errors
    /// [`MonitorError`] where there is no netlink, as in some sandboxes.
    pub fn new(root: &Root) -> Result<Self, MonitorError> {
        let failed = |what| move |errno| MonitorError { what, errno };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))
            .map_err(failed("open a socket"))?;
        let group = if Path::new(UDEV_RUNS).exists() { UDEV } else { KERNEL };
        bind(&socket, &SocketAddrNetlink::new(0, group)).map_err(failed("listen"))?;
        Ok(Monitor { socket, dev: root.dev.clone() })
    }

    /// The next change that was heard; `None` when there is none yet. Never waits.
    ///
    /// # Errors
    /// [`MonitorError`] when the kernel gives no messages any more.
    pub fn next_change(&self) -> Result<Option<Change>, MonitorError> {
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; LONGEST];
        loop {
            match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok(((message, _), _)) => {
                    if let Some(change) = parse(message, &self.dev) {
                        tracing::debug!(?change, "device");
                        return Ok(Some(change));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::NOBUFS) => return Ok(Some(Change::Lost)),
                Err(errno) => return Err(MonitorError { what: "listen", errno }),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
