//! `wl_shm`, `wl_shm_pool`: memory as long as promised, pictures that fit into it.
//!
//! A file that is cut off after its pool was made is Smithay's to bear: reads of pools are under its SIGBUS handler.

use heapwright_alloc::{
    buffers::Wrapped,
    constraints::{Fourcc, Size},
};
use rustix::fs::FileType;
use smithay::{
    reexports::wayland_server::{
        Client, DataInit, Resource as _, WEnum,
        protocol::{
            wl_shm::{self, Format, WlShm},
            wl_shm_pool::{self, WlShmPool},
        },
    },
    wayland::shm::{ShmPoolUserData, ShmState, shm_format_to_fourcc, wl_bytes_per_pixel},
};

use super::{Guard, guarded, limits::BUFFER_SIDE, peek};
use crate::{client::ClientState, state::Heapwright};

/// Pitches are counted in words of this many bytes.
const WORD_BYTES: i32 = 4;

impl Guard for WlShm {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        shm: &Self,
        request: wl_shm::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_shm::Request> {
        if let wl_shm::Request::CreatePool { fd, size, id } = request {
            // Only of a file is the length known: devices say 0.
            let long_enough = rustix::fs::fstat(&fd).is_ok_and(|stat| {
                FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
                    || stat.st_size >= i64::from(size)
            });
            if size > 0 && !long_enough {
                shm.post_error(wl_shm::Error::InvalidFd, format!("the file is shorter than {size} bytes"));
                return None;
            }
            let (pool, id) = peek(id, init);
            if let Some(state) = client.get_data::<ClientState>() {
                state.shared_memory.add_pool(pool.id(), &fd);
            }
            return Some(wl_shm::Request::CreatePool { fd, size, id });
        }
        Some(request)
    }
}

impl Guard for WlShmPool {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        pool: &Self,
        request: wl_shm_pool::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_shm_pool::Request> {
        let shared_memory = client.get_data::<ClientState>().map(|state| &state.shared_memory);
        match request {
            wl_shm_pool::Request::Resize { size } if size <= 0 => {
                pool.post_error(wl_shm::Error::InvalidFd, format!("a pool of {size} bytes"));
                return None;
            }
            wl_shm_pool::Request::CreateBuffer { id, offset, width, height, stride, format } => {
                // Smithay looks up known formats among those it offers.
                if wl_bytes_per_pixel(format) == 0 {
                    pool.post_error(wl_shm::Error::InvalidFormat, format!("format {format:?}"));
                    return None;
                }
                if width > BUFFER_SIDE || height > BUFFER_SIDE || stride % WORD_BYTES != 0 {
                    pool.post_error(
                        wl_shm::Error::InvalidStride,
                        format!("{width}x{height} with {stride} bytes a row: at most {BUFFER_SIDE} pixels a side and whole words"),
                    );
                    return None;
                }
                let (buffer, id) = peek(id, init);
                let picture = picture((offset, stride), (width, height), format);
                if let (Some(memory), Some(picture)) = (shared_memory, picture) {
                    memory.add_buffer(&pool.id(), buffer.id(), picture);
                }
                return Some(wl_shm_pool::Request::CreateBuffer {
                    id,
                    offset,
                    width,
                    height,
                    stride,
                    format,
                });
            }
            wl_shm_pool::Request::Destroy => {
                if let Some(memory) = shared_memory {
                    memory.forget_pool(&pool.id());
                }
            }
            _ => {}
        }
        Some(request)
    }
}

/// What Smithay, which sees the numbers next, does not refuse.
fn picture(
    (offset, pitch): (i32, i32),
    (width, height): (i32, i32),
    format: WEnum<Format>,
) -> Option<Wrapped> {
    let WEnum::Value(format) = format else { return None };
    Some(Wrapped {
        size: Size::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?),
        format: Fourcc(shm_format_to_fourcc(format)? as u32),
        offset: u64::try_from(offset).ok()?,
        pitch: u64::try_from(pitch).ok()?,
    })
}

guarded!(WlShm, () => ShmState);
guarded!(WlShmPool, ShmPoolUserData => ShmState);
