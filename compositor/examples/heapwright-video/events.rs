//! What the compositor says, event by event.

use std::time::Duration;

use heapwright_client::{Allocation, Answer, Changed, NegotiationHandler, delegate_negotiation};
use wayland_client::{
    Connection, Dispatch, QueueHandle, WEnum, delegate_noop,
    globals::GlobalListContents,
    protocol::{
        wl_buffer, wl_callback, wl_compositor, wl_pointer, wl_region, wl_registry, wl_seat, wl_shm,
        wl_shm_pool, wl_subcompositor, wl_subsurface, wl_surface,
    },
};
use wayland_protocols::{
    wp::{
        linux_dmabuf::zv1::client::{
            zwp_linux_buffer_params_v1::{self, ZwpLinuxBufferParamsV1},
            zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
        },
        presentation_time::client::{
            wp_presentation::{self, WpPresentation},
            wp_presentation_feedback::{self, Kind, WpPresentationFeedback},
        },
    },
    xdg::shell::client::{xdg_surface, xdg_toplevel, xdg_wm_base},
};

use crate::client::{Client, Which};

impl NegotiationHandler for Client {
    fn answered(&mut self, allocation: &Allocation, answer: Answer) {
        let which =
            if self.of_controls.as_ref() == Some(allocation) { Which::Controls } else { Which::Video };
        self.part(which).answer = Some(answer);
    }

    fn changed(&mut self, allocation: &Allocation, change: Changed) {
        let which =
            if self.of_controls.as_ref() == Some(allocation) { Which::Controls } else { Which::Video };
        self.part(which).report.changes.push(format!("{change:?}").to_lowercase());
        allocation.renegotiate();
    }
}

delegate_negotiation!(Client);

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Client {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

impl Dispatch<xdg_wm_base::XdgWmBase, ()> for Client {
    fn event(
        _: &mut Self,
        wm_base: &xdg_wm_base::XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            wm_base.pong(serial);
        }
    }
}

impl Dispatch<xdg_surface::XdgSurface, ()> for Client {
    fn event(
        client: &mut Self,
        surface: &xdg_surface::XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            surface.ack_configure(serial);
            client.configured = true;
        }
    }
}

impl Dispatch<xdg_toplevel::XdgToplevel, ()> for Client {
    fn event(
        client: &mut Self,
        _: &xdg_toplevel::XdgToplevel,
        event: xdg_toplevel::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            xdg_toplevel::Event::Configure { width, height, .. } if width > 1 && height > 1 => {
                // Blocks of chroma are whole.
                client.size = Some((width as u32 & !1, height as u32 & !1));
            }
            xdg_toplevel::Event::Close => client.closed = true,
            _ => {}
        }
    }
}

impl Dispatch<wl_callback::WlCallback, Which> for Client {
    fn event(
        client: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        which: &Which,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        client.part(*which).due = true;
    }
}

impl Dispatch<wl_buffer::WlBuffer, ()> for Client {
    fn event(
        client: &mut Self,
        buffer: &wl_buffer::WlBuffer,
        event: wl_buffer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_buffer::Event::Release = event {
            client.video.released(buffer);
            client.controls.released(buffer);
        }
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, ()> for Client {
    fn event(
        client: &mut Self,
        _: &ZwpLinuxBufferParamsV1,
        event: zwp_linux_buffer_params_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwp_linux_buffer_params_v1::Event::Created { buffer } => client.created = Some(Ok(buffer)),
            zwp_linux_buffer_params_v1::Event::Failed => client.created = Some(Err(())),
            _ => {}
        }
    }

    wayland_client::event_created_child!(Client, ZwpLinuxBufferParamsV1, [
        zwp_linux_buffer_params_v1::EVT_CREATED_OPCODE => (wl_buffer::WlBuffer, ()),
    ]);
}

impl Dispatch<WpPresentation, ()> for Client {
    fn event(
        client: &mut Self,
        _: &WpPresentation,
        event: wp_presentation::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wp_presentation::Event::ClockId { clk_id } = event {
            client.clock = Some(clk_id);
        }
    }
}

impl Dispatch<WpPresentationFeedback, Which> for Client {
    fn event(
        client: &mut Self,
        feedback: &WpPresentationFeedback,
        event: wp_presentation_feedback::Event,
        which: &Which,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wp_presentation_feedback::Event;
        match event {
            Event::Presented { tv_sec_hi, tv_sec_lo, tv_nsec, refresh, flags, .. } => {
                let zero_copy = matches!(flags, WEnum::Value(flags) if flags.contains(Kind::ZeroCopy));
                let seconds = (u64::from(tv_sec_hi) << 32) | u64::from(tv_sec_lo);
                let (at, refresh) = (Duration::new(seconds, tv_nsec), Duration::from_nanos(refresh.into()));
                client.part(*which).presented(feedback, zero_copy, at, refresh);
            }
            Event::Discarded => client.part(*which).discarded(feedback),
            _ => {}
        }
    }
}

impl Dispatch<wl_seat::WlSeat, ()> for Client {
    fn event(
        client: &mut Self,
        seat: &wl_seat::WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        let wl_seat::Event::Capabilities { capabilities: WEnum::Value(capabilities) } = event else { return };
        if capabilities.contains(wl_seat::Capability::Pointer) && client.pointer.is_none() {
            client.pointer = Some(seat.get_pointer(handle, ()));
        }
    }
}

impl Dispatch<wl_pointer::WlPointer, ()> for Client {
    fn event(
        _: &mut Self,
        pointer: &wl_pointer::WlPointer,
        event: wl_pointer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // Players hide it.
        if let wl_pointer::Event::Enter { serial, .. } = event {
            pointer.set_cursor(serial, None, 0, 0);
        }
    }
}

delegate_noop!(Client: ignore wl_compositor::WlCompositor);
delegate_noop!(Client: ignore wl_subcompositor::WlSubcompositor);
delegate_noop!(Client: ignore wl_subsurface::WlSubsurface);
delegate_noop!(Client: ignore wl_surface::WlSurface);
delegate_noop!(Client: ignore wl_region::WlRegion);
delegate_noop!(Client: ignore wl_shm::WlShm);
delegate_noop!(Client: ignore wl_shm_pool::WlShmPool);
delegate_noop!(Client: ignore ZwpLinuxDmabufV1);
