//! What is known of clients' buffers: asked of the kernel once for each, not at every frame.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use smithay::{
    backend::allocator::{Buffer as _, dmabuf::Dmabuf},
    reexports::wayland_server::{
        DisplayHandle, Resource as _, backend::ObjectId, protocol::wl_buffer::WlBuffer,
    },
    wayland::{
        dmabuf::get_dmabuf,
        shm::{shm_format_to_fourcc, with_buffer_contents},
        single_pixel_buffer::get_single_pixel_buffer,
    },
};

use super::Kind;
use crate::{
    dmabuf::file::{exporter, size_bytes},
    ipc::{BufferNow, ClientNow, SurfacePlane},
};

/// What shared memory is called where a dma-buf has an exporter.
pub const WL_SHM: &str = "wl_shm";

/// A client's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The client's process.
    pub pid: i32,
    /// In what it lies.
    pub kind: Kind,
    /// Pixels.
    pub size: Size,
    /// Format.
    pub format: Fourcc,
    /// Modifier.
    pub modifier: Modifier,
    /// Its planes.
    pub planes: Vec<SurfacePlane>,
    /// Who exported it.
    pub memory: String,
    /// What its maker called it.
    pub name: Option<String>,
    /// Bytes of memory: of a dma-buf its whole file, of shared memory the rows.
    pub bytes: u64,
}

impl Known {
    /// As `msg` tells it.
    #[must_use]
    pub fn told(&self) -> BufferNow {
        BufferNow {
            size: self.size,
            format: self.format,
            modifier: self.modifier,
            planes: self.planes.clone(),
            memory: self.memory.clone(),
            name: self.name.clone(),
        }
    }
}

/// Every living buffer that was on a surface.
#[derive(Debug, Default)]
pub struct Buffers(RefCell<HashMap<ObjectId, Arc<Known>>>);

impl Buffers {
    /// What is known of a buffer; none if it is of no kind that we take.
    #[must_use]
    pub fn get(&self, display: &DisplayHandle, buffer: &WlBuffer) -> Option<Arc<Known>> {
        let id = buffer.id();
        if let Some(known) = self.0.borrow().get(&id) {
            return Some(Arc::clone(known));
        }
        let credentials = buffer.client().and_then(|client| client.get_credentials(display).ok());
        let known = Arc::new(look(buffer, credentials.map_or(0, |credentials| credentials.pid))?);
        // A destroyed one may still be shown, but nobody will say when to forget it.
        if buffer.is_alive() {
            self.0.borrow_mut().insert(id, Arc::clone(&known));
        }
        Some(known)
    }

    /// The client has destroyed it.
    pub fn forget(&mut self, buffer: &WlBuffer) {
        self.0.get_mut().remove(&buffer.id());
    }

    /// How much memory each client's buffers take, by process.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientNow> {
        let mut clients: Vec<ClientNow> = Vec::new();
        for known in self.0.borrow().values() {
            match clients.iter_mut().find(|client| client.pid == known.pid) {
                Some(client) => {
                    client.buffers += 1;
                    client.bytes = client.bytes.saturating_add(known.bytes);
                }
                None => clients.push(ClientNow { pid: known.pid, buffers: 1, bytes: known.bytes }),
            }
        }
        clients.sort_by_key(|client| client.pid);
        clients
    }
}

/// A buffer of any kind that we take.
fn look(buffer: &WlBuffer, pid: i32) -> Option<Known> {
    if let Ok(dmabuf) = get_dmabuf(buffer) {
        return Some(of_dmabuf(dmabuf, pid));
    }
    if get_single_pixel_buffer(buffer).is_ok() {
        return Some(Known {
            pid,
            kind: Kind::Colour,
            size: Size::new(1, 1),
            format: Fourcc::ARGB8888,
            modifier: Modifier::LINEAR,
            planes: Vec::new(),
            memory: "a single pixel".to_owned(),
            name: None,
            bytes: 0,
        });
    }
    let data = with_buffer_contents(buffer, |_, _, data| data).ok()?;
    let pitch = u64::try_from(data.stride).ok()?;
    let size = Size::new(u32::try_from(data.width).ok()?, u32::try_from(data.height).ok()?);
    Some(Known {
        pid,
        kind: Kind::SharedMemory,
        size,
        format: Fourcc(shm_format_to_fourcc(data.format)? as u32),
        modifier: Modifier::LINEAR,
        planes: vec![SurfacePlane { offset: u64::try_from(data.offset).ok()?, pitch }],
        memory: WL_SHM.to_owned(),
        name: None,
        bytes: pitch.saturating_mul(u64::from(size.height)),
    })
}

fn of_dmabuf(dmabuf: &Dmabuf, pid: i32) -> Known {
    let exporter = dmabuf.handles().next().map(exporter).unwrap_or_default();
    let places = dmabuf.offsets().zip(dmabuf.strides());
    Known {
        pid,
        kind: Kind::DmaBuf,
        size: Size::new(dmabuf.width(), dmabuf.height()),
        format: Fourcc(dmabuf.format().code as u32),
        modifier: Modifier(u64::from(dmabuf.format().modifier)),
        planes: places
            .map(|(offset, pitch)| SurfacePlane { offset: offset.into(), pitch: pitch.into() })
            .collect(),
        memory: exporter.heap.unwrap_or_else(|| "unknown exporter".to_owned()),
        name: exporter.name,
        bytes: dmabuf.handles().next().and_then(size_bytes).unwrap_or(0),
    }
}
