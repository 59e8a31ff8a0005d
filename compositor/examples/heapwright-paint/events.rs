//! What the compositor says, event by event.

use std::time::Duration;

use heapwright_client::{Allocation, Answer, Changed, NegotiationHandler, delegate_negotiation};
use wayland_client::{
    Connection, Dispatch, QueueHandle, WEnum, delegate_noop,
    globals::GlobalListContents,
    protocol::{
        wl_buffer, wl_callback, wl_compositor, wl_output, wl_pointer, wl_region, wl_registry, wl_seat,
        wl_shm, wl_shm_pool, wl_surface,
    },
};
use wayland_protocols::{
    wp::{
        linux_dmabuf::zv1::client::{
            zwp_linux_buffer_params_v1::{self, ZwpLinuxBufferParamsV1},
            zwp_linux_dmabuf_feedback_v1::{self, TrancheFlags, ZwpLinuxDmabufFeedbackV1},
            zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
        },
        linux_drm_syncobj::v1::client::{
            wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1,
            wp_linux_drm_syncobj_surface_v1::WpLinuxDrmSyncobjSurfaceV1,
            wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1,
        },
        presentation_time::client::{
            wp_presentation::{self, WpPresentation},
            wp_presentation_feedback::{self, Kind, WpPresentationFeedback},
        },
    },
    xdg::shell::client::{xdg_surface, xdg_toplevel, xdg_wm_base},
};

use crate::client::Client;

impl NegotiationHandler for Client {
    fn answered(&mut self, _: &Allocation, answer: Answer) {
        self.answer = Some(answer);
    }

    fn changed(&mut self, allocation: &Allocation, change: Changed) {
        self.report.changes.push(format!("{change:?}").to_lowercase());
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
            xdg_toplevel::Event::Configure { width, height, .. } if width > 0 && height > 0 => {
                client.size = Some((width as u32, height as u32));
            }
            xdg_toplevel::Event::Close => client.closed = true,
            _ => {}
        }
    }
}

impl Dispatch<wl_callback::WlCallback, u64> for Client {
    fn event(
        client: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        commit: &u64,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        client.frame_due = true;
        client.report.told_early += u64::from(client.sent.iter().any(|sent| sent.commit == *commit));
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
        // With points, this event means nothing.
        if let (wl_buffer::Event::Release, None) = (event, &client.acquired) {
            if let Some(commit) = client.slots.released(buffer) {
                client.given_back.released(commit);
            }
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

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Client {
    fn event(
        client: &mut Self,
        _: &ZwpLinuxDmabufFeedbackV1,
        event: zwp_linux_dmabuf_feedback_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwp_linux_dmabuf_feedback_v1::Event;
        match event {
            // A table that can't be mapped leaves the feedback empty, which allocation then names.
            Event::FormatTable { fd, size } => drop(client.feedback.table(fd, size)),
            Event::TrancheFormats { indices } => client.feedback.formats(&indices),
            Event::TrancheFlags { flags: WEnum::Value(flags) } => {
                let scanout = flags.contains(TrancheFlags::Scanout);
                client.seen_scanout |= scanout;
                client.feedback.flags(scanout);
            }
            Event::TrancheTargetDevice { device } => client.feedback.target(&device),
            Event::TrancheDone => client.feedback.tranche_done(),
            Event::Done => client.feedback.done(),
            _ => {}
        }
    }
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

impl Dispatch<WpPresentationFeedback, ()> for Client {
    fn event(
        client: &mut Self,
        feedback: &WpPresentationFeedback,
        event: wp_presentation_feedback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let sent = client.sent.iter().position(|sent| sent.feedback == *feedback);
        match event {
            wp_presentation_feedback::Event::Presented { tv_sec_hi, tv_sec_lo, tv_nsec, flags, .. } => {
                let zero_copy = matches!(flags, WEnum::Value(flags) if flags.contains(Kind::ZeroCopy));
                if let Some(index) = sent {
                    let sent = client.sent.swap_remove(index);
                    client.latencies.push(sent.at.elapsed());
                    client.given_back.presented(sent.commit, zero_copy);
                    if client.acquired.as_ref().is_some_and(|acquired| !acquired.has(sent.commit)) {
                        client.report.shown_unacquired += 1;
                    }
                }
                let seconds = (u64::from(tv_sec_hi) << 32) | u64::from(tv_sec_lo);
                client.report.frame(zero_copy, Duration::new(seconds, tv_nsec));
            }
            wp_presentation_feedback::Event::Discarded => {
                if let Some(index) = sent {
                    client.sent.swap_remove(index);
                }
                client.report.discarded += 1;
            }
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
        if capabilities.contains(wl_seat::Capability::Pointer) && client.pointer.device.is_none() {
            client.pointer.device = Some(seat.get_pointer(handle, ()));
        }
    }
}

impl Dispatch<wl_pointer::WlPointer, ()> for Client {
    fn event(
        client: &mut Self,
        pointer: &wl_pointer::WlPointer,
        event: wl_pointer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_pointer::Event::Enter { serial, .. } = event {
            client.pointer.entered(pointer, serial);
        }
    }
}

delegate_noop!(Client: ignore wl_compositor::WlCompositor);
delegate_noop!(Client: ignore wl_surface::WlSurface);
delegate_noop!(Client: ignore wl_region::WlRegion);
delegate_noop!(Client: ignore wl_shm::WlShm);
delegate_noop!(Client: ignore wl_shm_pool::WlShmPool);
delegate_noop!(Client: ignore wl_output::WlOutput);
delegate_noop!(Client: ignore ZwpLinuxDmabufV1);
delegate_noop!(Client: WpLinuxDrmSyncobjManagerV1);
delegate_noop!(Client: WpLinuxDrmSyncobjSurfaceV1);
delegate_noop!(Client: WpLinuxDrmSyncobjTimelineV1);
