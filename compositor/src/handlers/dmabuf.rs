//! Clients' dma-bufs: tried with the renderer, noted with where they lie.

use std::{fs, os::fd::AsRawFd as _};

use heapwright_alloc::constraints::{Fourcc, Modifier};
use smithay::{
    backend::{
        allocator::{Buffer as _, dmabuf::Dmabuf},
        renderer::ImportDma as _,
    },
    reexports::wayland_server::Client,
};

use crate::{
    dmabuf::{DmabufGlobalState, DmabufHandler, ImportError},
    memory::Record,
    state::Heapwright,
};

impl DmabufHandler for Heapwright {
    fn dmabuf_state(&mut self) -> &mut DmabufGlobalState {
        &mut self.dmabuf
    }

    fn dmabuf_imported(&mut self, client: &Client, dmabuf: &Dmabuf) -> Result<(), ImportError> {
        let renderer =
            self.backend.renderer().ok_or_else(|| ImportError("there is no output yet".to_owned()))?;
        // Even a buffer for a plane must be known to the renderer: any frame may have to be composed.
        renderer.import_dmabuf(dmabuf, None).map_err(|error| ImportError(error.to_string()))?;
        let pid = client.get_credentials(&self.display).map_or(0, |credentials| credentials.pid);
        self.memory.client_buffer(record(pid, dmabuf));
        Ok(())
    }
}

/// What can be known of a client's buffer from outside: the kernel says who exported it.
fn record(pid: i32, dmabuf: &Dmabuf) -> Record {
    let info = dmabuf
        .handles()
        .next()
        .and_then(|fd| fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok())
        .unwrap_or_default();
    let field = |key: &str| {
        info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim).filter(|value| !value.is_empty())
    };
    Record {
        owner: format!("client {pid}"),
        count: 1,
        size: format!("{}x{}", dmabuf.width(), dmabuf.height()),
        format: Fourcc(dmabuf.format().code as u32).to_string(),
        modifier: Modifier(u64::from(dmabuf.format().modifier)).to_string(),
        pitch: dmabuf.strides().next().map_or(0, u64::from),
        heap: field("exp_name:").unwrap_or("unknown exporter").to_owned(),
        names: field("name:").map(str::to_owned).into_iter().collect(),
        why: vec!["the client's own choice, by the feedback it was given".to_owned()],
    }
}

crate::delegate_heapwright_dmabuf!(Heapwright);
