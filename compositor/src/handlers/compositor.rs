//! Surfaces: commits, and the buffers that come with them.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smithay::{
    backend::{allocator::dmabuf::Dmabuf, renderer::utils::on_commit_buffer_handler},
    delegate_single_pixel_buffer,
    reexports::{
        calloop::Interest,
        wayland_protocols::wp::viewporter::server::wp_viewporter::WpViewporter,
        wayland_server::{
            Client, Resource as _, delegate_dispatch, delegate_global_dispatch,
            protocol::{
                wl_buffer::WlBuffer, wl_callback::WlCallback, wl_compositor::WlCompositor, wl_shm::WlShm,
                wl_subcompositor::WlSubcompositor, wl_surface::WlSurface,
            },
        },
    },
    wayland::{
        buffer::BufferHandler,
        compositor::{
            BufferAssignment, CompositorClientState, CompositorHandler, CompositorState, SurfaceAttributes,
            add_blocker, add_pre_commit_hook, get_parent, is_sync_subsurface, with_states,
        },
        dmabuf::get_dmabuf,
        shm::{ShmBufferUserData, ShmHandler, ShmState},
        viewporter::ViewporterState,
    },
};
use tracing::warn;

use crate::{client::ClientState, state::Heapwright};

/// Stands in for clients that Smithay made itself (there are none unless Xwayland runs).
static FOREIGN_CLIENT: std::sync::LazyLock<CompositorClientState> =
    std::sync::LazyLock::new(Default::default);

impl CompositorHandler for Heapwright {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.protocols.compositor
    }

    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        client.get_data::<ClientState>().map_or(&FOREIGN_CLIENT, |state| &state.compositor)
    }

    fn new_surface(&mut self, surface: &WlSurface) {
        add_pre_commit_hook::<Self, _>(surface, |state, _, surface| {
            state.wait_for_fence(surface);
            state.hold_back(surface);
        });
    }

    fn destroyed(&mut self, surface: &WlSurface) {
        self.dmabuf.surface_destroyed(surface);
        self.forget_waits(surface);
        self.waiting.forget(surface);
        // It is seen no more, without a commit.
        self.backend.schedule_all(&self.events);
    }

    fn commit(&mut self, surface: &WlSurface) {
        self.events.expect(surface.id());
        on_commit_buffer_handler::<Self>(surface);
        let mut root = surface.clone();
        while let Some(parent) = get_parent(&root) {
            root = parent;
        }
        self.waiting.committed(&root);
        let window = self.window_of(&root);
        if let (Some(window), false) = (&window, is_sync_subsurface(surface)) {
            window.on_commit();
            self.window_committed(window, &root);
        }
        self.popup_committed(surface);
        let only_pixels = window.is_some_and(|window| self.keeps_shape(&window, &root));
        self.backend.surface_committed(&self.events, surface, only_pixels);
    }
}

/// Whether no device writes any of its planes now.
fn is_written(dmabuf: &Dmabuf) -> bool {
    let mut planes: Vec<_> = dmabuf.handles().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let count = planes.len();
    poll(&mut planes, Some(&Timespec::default())).is_ok_and(|ready| ready == count)
}

impl Heapwright {
    /// Implicit sync: a commit takes effect only when the devices that write its dma-buf are done.
    fn wait_for_fence(&mut self, surface: &WlSurface) {
        let buffer = with_states(surface, |states| {
            let mut guard = states.cached_state.get::<SurfaceAttributes>();
            match guard.pending().buffer.as_ref() {
                Some(BufferAssignment::NewBuffer(buffer)) => Some(buffer.clone()),
                _ => None,
            }
        });
        let (Some(buffer), Some(client)) = (buffer, surface.client()) else { return };
        let Ok(dmabuf) = get_dmabuf(&buffer).cloned() else {
            if let Some(state) = client.get_data::<ClientState>() {
                state.shared_memory.committed(&buffer.id());
            }
            self.note_shared_memory(&client, &buffer);
            return;
        };
        // Here all planes are asked at once; Smithay asks one after the other.
        if is_written(&dmabuf) {
            return;
        }
        // An error here means that the buffer is ready already.
        let Ok((blocker, source)) = dmabuf.generate_blocker(Interest::READ) else { return };
        let inserted = self.events.insert_source(source, move |(), _, state| {
            if let Some(data) = client.get_data::<ClientState>() {
                let display = state.display.clone();
                data.compositor.blocker_cleared(state, &display);
            }
            Ok(())
        });
        match inserted {
            Ok(_) => add_blocker(surface, blocker),
            Err(error) => warn!(%error, "cannot wait for a buffer's fence: using it as it is"),
        }
    }
}

impl BufferHandler for Heapwright {
    fn buffer_destroyed(&mut self, buffer: &WlBuffer) {
        self.noted.remove(&buffer.id());
        self.buffers.forget(buffer);
        self.backend.forget_buffer(buffer);
        let client = buffer.client();
        if let Some(state) = client.as_ref().and_then(|client| client.get_data::<ClientState>()) {
            state.shared_memory.forget_buffer(&buffer.id());
        }
    }
}

impl ShmHandler for Heapwright {
    fn shm_state(&self) -> &ShmState {
        &self.protocols.shm
    }
}

// The requests that are not named here go through `crate::guard`.
delegate_global_dispatch!(Heapwright: [WlCompositor: ()] => CompositorState);
delegate_global_dispatch!(Heapwright: [WlSubcompositor: ()] => CompositorState);
delegate_dispatch!(Heapwright: [WlCompositor: ()] => CompositorState);
delegate_dispatch!(Heapwright: [WlCallback: ()] => CompositorState);
delegate_global_dispatch!(Heapwright: [WlShm: ()] => ShmState);
delegate_dispatch!(Heapwright: [WlBuffer: ShmBufferUserData] => ShmState);
delegate_global_dispatch!(Heapwright: [WpViewporter: ()] => ViewporterState);
delegate_single_pixel_buffer!(Heapwright);
