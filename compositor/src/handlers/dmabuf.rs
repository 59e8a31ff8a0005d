//! Clients' dma-bufs: tried with the renderer, noted with where they lie.

use heapwright_alloc::constraints::{Fourcc, Modifier};
use smithay::{
    backend::{
        allocator::{Buffer as _, dmabuf::Dmabuf},
        renderer::ImportDma as _,
    },
    reexports::wayland_server::{Client, Resource as _, protocol::wl_buffer::WlBuffer},
    wayland::shm::{shm_format_to_fourcc, with_buffer_contents},
};

use crate::{
    dmabuf::{DmabufGlobalState, DmabufHandler, ImportError, file::exporter},
    memory::Record,
    state::Heapwright,
    video::{Readable, is_video},
};

impl DmabufHandler for Heapwright {
    fn dmabuf_state(&mut self) -> &mut DmabufGlobalState {
        &mut self.dmabuf
    }

    fn dmabuf_imported(
        &mut self,
        client: &Client,
        dmabuf: &Dmabuf,
        // The CPU reads what it can map, whatever device it is of.
        _sampling_device: Option<u64>,
    ) -> Result<(), ImportError> {
        if !self.dmabuf.tries_imports() {
            return Ok(());
        }
        let renderer =
            self.backend.renderer().ok_or_else(|| ImportError("there is no output yet".to_owned()))?;
        // Even a buffer for a plane must be known to the renderer: any frame may have to be composed.
        if is_video(Fourcc(dmabuf.format().code as u32)) {
            Readable::new(dmabuf).map_err(|error| ImportError(error.to_string()))?;
        } else {
            renderer.import_dmabuf(dmabuf, None).map_err(|error| ImportError(error.to_string()))?;
        }
        self.memory.client_buffer(record(self.pid_of(client), dmabuf));
        Ok(())
    }
}

/// What can be known of a client's buffer from outside: the kernel says who exported it.
fn record(pid: i32, dmabuf: &Dmabuf) -> Record {
    let exporter = dmabuf.handles().next().map(exporter).unwrap_or_default();
    Record {
        owner: format!("client {pid}"),
        count: 1,
        size: format!("{}x{}", dmabuf.width(), dmabuf.height()),
        format: Fourcc(dmabuf.format().code as u32).to_string(),
        modifier: Modifier(u64::from(dmabuf.format().modifier)).to_string(),
        pitch: dmabuf.strides().next().map_or(0, u64::from),
        heap: exporter.heap.unwrap_or_else(|| "unknown exporter".to_owned()),
        names: exporter.name.into_iter().collect(),
        why: vec!["the client's own choice, by the feedback it was given".to_owned()],
    }
}

impl Heapwright {
    /// Takes note of a client's buffer in shared memory, the first time it is shown.
    pub fn note_shared_memory(&mut self, client: &Client, buffer: &WlBuffer) {
        if !self.noted.insert(buffer.id()) {
            return;
        }
        let Ok(data) = with_buffer_contents(buffer, |_, _, data| data) else { return };
        let format = shm_format_to_fourcc(data.format).map_or(0, |fourcc| fourcc as u32);
        self.memory.client_buffer(Record {
            owner: format!("client {}", self.pid_of(client)),
            count: 1,
            size: format!("{}x{}", data.width, data.height),
            format: Fourcc(format).to_string(),
            modifier: Modifier::LINEAR.to_string(),
            pitch: u64::try_from(data.stride).unwrap_or(0),
            heap: "wl_shm".to_owned(),
            names: vec!["the client's shared memory".to_owned()],
            why: vec!["the client draws through wl_shm".to_owned()],
        });
    }

    pub(crate) fn pid_of(&self, client: &Client) -> i32 {
        client.get_credentials(&self.display).map_or(0, |credentials| credentials.pid)
    }
}

crate::delegate_heapwright_dmabuf!(Heapwright);
