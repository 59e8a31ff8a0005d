//! Fences that are late: the CPU paints at once, but a buffer says that it is written to for a while yet, as one that a
//! GPU draws into does. The kernel's sw_sync (drivers/dma-buf/sw_sync.c, in debugfs, so for root) makes them.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, FromRawFd as _, OwnedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use heapwright_alloc::buffers::dma_buf::{self, Access};
use rustix::ioctl::{Setter, Updater, ioctl, opcode};

const PATH: &str = "/sys/kernel/debug/sync/sw_sync";

/// `struct sw_sync_create_fence_data`.
#[repr(C)]
struct CreateFence {
    value: u32,
    name: [u8; 32],
    fence: i32,
}

/// A timeline that moves on late.
#[derive(Debug)]
pub struct Fences {
    timeline: Arc<File>,
    late: Duration,
    at: u32,
}

impl Fences {
    /// Fences that are signalled so long after they were made.
    pub fn new(late: Duration) -> io::Result<Self> {
        let timeline = File::options().read(true).write(true).open(PATH)?;
        Ok(Fences { timeline: Arc::new(timeline), late, at: 0 })
    }

    /// The buffer is being written to, until the fence is signalled.
    pub fn attach(&mut self, buffer: impl AsFd) -> io::Result<()> {
        self.at += 1;
        let mut data = CreateFence { value: self.at, name: [0; 32], fence: -1 };
        // SAFETY: SW_SYNC_IOC_CREATE_FENCE reads and writes one `struct sw_sync_create_fence_data`.
        unsafe {
            ioctl(
                &*self.timeline,
                Updater::<{ opcode::read_write::<CreateFence>(b'W', 0) }, _>::new(&mut data),
            )
        }?;
        // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
        let fence = unsafe { OwnedFd::from_raw_fd(data.fence) };
        dma_buf::import_sync_file(buffer.as_fd(), Access::Write, fence.as_fd())?;
        let (timeline, late) = (Arc::clone(&self.timeline), self.late);
        thread::spawn(move || {
            thread::sleep(late);
            // SAFETY: SW_SYNC_IOC_INC reads one `__u32`. A timeline that cannot be moved is signalled when it is closed.
            let _ = unsafe { ioctl(&*timeline, Setter::<{ opcode::write::<u32>(b'W', 1) }, u32>::new(1)) };
        });
        Ok(())
    }
}
