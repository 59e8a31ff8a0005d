//! `wl_shm`, `wl_shm_pool`: memory as long as promised, pictures that fit into it.
//!
//! A file that is cut off after its pool was made is Smithay's to bear: reads of pools are under its SIGBUS handler.

use rustix::fs::FileType;
use smithay::{
    reexports::wayland_server::{
        Client, DataInit, Resource as _,
        protocol::{
            wl_shm::{self, WlShm},
            wl_shm_pool::{self, WlShmPool},
        },
    },
    wayland::shm::{ShmPoolUserData, ShmState, wl_bytes_per_pixel},
};

use super::{Guard, guarded, limits::BUFFER_SIDE};
use crate::state::Heapwright;

/// Pitches are counted in words of this many bytes.
const WORD_BYTES: i32 = 4;

impl Guard for WlShm {
    fn check(
        _: &mut Heapwright,
        _: &Client,
        shm: &Self,
        request: wl_shm::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_shm::Request> {
        if let wl_shm::Request::CreatePool { fd, size, .. } = &request {
            // Only of a file is the length known: devices say 0.
            let long_enough = rustix::fs::fstat(fd).is_ok_and(|stat| {
                FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
                    || stat.st_size >= i64::from(*size)
            });
            if *size > 0 && !long_enough {
                shm.post_error(wl_shm::Error::InvalidFd, format!("the file is shorter than {size} bytes"));
                return None;
            }
        }
        Some(request)
    }
}

impl Guard for WlShmPool {
    fn check(
        _: &mut Heapwright,
        _: &Client,
        pool: &Self,
        request: wl_shm_pool::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_shm_pool::Request> {
        match &request {
            wl_shm_pool::Request::Resize { size } if *size <= 0 => {
                pool.post_error(wl_shm::Error::InvalidFd, format!("a pool of {size} bytes"));
                return None;
            }
            wl_shm_pool::Request::CreateBuffer { width, height, stride, format, .. } => {
                // Smithay looks up known formats among those it offers.
                if wl_bytes_per_pixel(*format) == 0 {
                    pool.post_error(wl_shm::Error::InvalidFormat, format!("format {format:?}"));
                    return None;
                }
                if *width > BUFFER_SIDE || *height > BUFFER_SIDE || stride % WORD_BYTES != 0 {
                    pool.post_error(
                        wl_shm::Error::InvalidStride,
                        format!("{width}x{height} with {stride} bytes a row: at most {BUFFER_SIDE} pixels a side and whole words"),
                    );
                    return None;
                }
            }
            _ => {}
        }
        Some(request)
    }
}

guarded!(WlShm, () => ShmState);
guarded!(WlShmPool, ShmPoolUserData => ShmState);
