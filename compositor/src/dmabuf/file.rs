//! What the kernel says of a file descriptor that a client calls a dma-buf.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{SeekFrom, fstatfs, seek};

/// `DMA_BUF_MAGIC` in linux/magic.h: the type of the file system that all dma-bufs live on, since Linux 5.3.
const DMA_BUF_MAGIC: u64 = 0x444d_4142;

/// Answers whether a file is a dma-buf. Replaceable, because most machines that run tests cannot make one.
pub type DmabufCheck = fn(BorrowedFd<'_>) -> bool;

/// Asks the kernel whether this is a dma-buf. A file that cannot be asked is none.
pub fn is_dmabuf(file: BorrowedFd<'_>) -> bool {
    fstatfs(file).is_ok_and(|status| status.f_type as u64 == DMA_BUF_MAGIC)
}

/// The size in bytes, or `None` where the file has no end to seek to.
pub fn size_bytes(file: BorrowedFd<'_>) -> Option<u64> {
    let end = seek(file, SeekFrom::End(0)).ok()?;
    // The position is shared with the client: leave it where a reader expects it.
    seek(file, SeekFrom::Start(0)).ok()?;
    Some(end)
}

/// Who made a dma-buf, and what they call it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exporter {
    /// The kernel's name of the exporter: a heap, or a device's driver.
    pub heap: Option<String>,
    /// The name that was given to the buffer (`DMA_BUF_SET_NAME`).
    pub name: Option<String>,
}

/// Asks the kernel who made a dma-buf.
#[must_use]
pub fn exporter(file: BorrowedFd<'_>) -> Exporter {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap_or_default();
    let field = |key: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    Exporter { heap: field("exp_name:"), name: field("name:") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_memfd_a_regular_file_a_device_and_a_socket_are_no_dmabufs() {
        let memfd = rustix::fs::memfd_create(c"no-dmabuf", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let device = std::fs::File::open("/dev/zero").unwrap();
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        for fd in [memfd.as_fd(), file.as_fd(), device.as_fd(), socket.as_fd()] {
            assert!(!is_dmabuf(fd));
        }
    }

    #[test]
    fn a_file_says_its_size_and_a_socket_does_not() {
        let memfd = rustix::fs::memfd_create(c"sized", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&memfd, 12_345).unwrap();
        assert_eq!(size_bytes(memfd.as_fd()), Some(12_345));
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(size_bytes(socket.as_fd()), None);
    }
}
