//! xdg-shell: windows and popups as clients ask for them. What is done with a wish is in [`crate::shell`].

use smithay::{
    delegate_xdg_decoration,
    desktop::{PopupKind, Window, find_popup_root_surface},
    input::Seat,
    reexports::{
        wayland_protocols::xdg::{
            decoration::zv1::server::zxdg_toplevel_decoration_v1::Mode as DecorationMode,
            shell::server::{
                xdg_toplevel::{ResizeEdge, State as ToplevelState},
                xdg_wm_base::XdgWmBase,
            },
        },
        wayland_server::{
            delegate_global_dispatch,
            protocol::{wl_output::WlOutput, wl_seat::WlSeat},
        },
    },
    utils::Serial,
    wayland::shell::xdg::{
        PopupSurface, PositionerState, ToplevelSurface, XdgShellHandler, XdgShellState,
        decoration::XdgDecorationHandler,
    },
};
use tracing::debug;

use crate::{
    shell::{grabs, window::Mode},
    state::Heapwright,
};

impl XdgShellHandler for Heapwright {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.protocols.xdg_shell
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        // A window appears with its first buffer: before that its size, and so its place, is unknown.
        self.unmapped.push(Window::new_wayland_window(surface));
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        if let Some(window) = self.window_of(surface.wl_surface()) {
            self.unmapped.retain(|other| *other != window);
            self.space.unmap_elem(&window);
            self.focus_topmost();
            self.backend.schedule_all(&self.events);
        }
    }

    fn new_popup(&mut self, surface: PopupSurface, _positioner: PositionerState) {
        self.unconstrain_popup(&surface);
        if let Err(error) = self.popups.track_popup(PopupKind::Xdg(surface)) {
            debug!(%error, "popup of a window that has gone");
        }
    }

    fn popup_destroyed(&mut self, _surface: PopupSurface) {
        self.backend.schedule_all(&self.events);
    }

    fn reposition_request(&mut self, surface: PopupSurface, positioner: PositionerState, token: u32) {
        surface.with_pending_state(|state| {
            state.geometry = positioner.get_geometry();
            state.positioner = positioner;
        });
        self.unconstrain_popup(&surface);
        surface.send_repositioned(token);
    }

    fn grab(&mut self, surface: PopupSurface, seat: WlSeat, serial: Serial) {
        let popup = PopupKind::Xdg(surface);
        let (Some(seat), Ok(root)) = (Seat::from_resource(&seat), find_popup_root_surface(&popup)) else {
            return;
        };
        grabs::popup::start(self, &seat, root, popup, serial);
    }

    fn move_request(&mut self, surface: ToplevelSurface, seat: WlSeat, serial: Serial) {
        if let Some(seat) = Seat::from_resource(&seat) {
            grabs::moving::start(self, &surface, &seat, serial);
        }
    }

    fn resize_request(&mut self, surface: ToplevelSurface, seat: WlSeat, serial: Serial, edges: ResizeEdge) {
        if let Some(seat) = Seat::from_resource(&seat) {
            grabs::resizing::start(self, &surface, &seat, serial, edges);
        }
    }

    fn maximize_request(&mut self, surface: ToplevelSurface) {
        self.set_mode(&surface, Mode::Maximized, None);
        // The protocol asks for an answer to every request of a mapped window, changed or not.
        if surface.is_initial_configure_sent() {
            surface.send_configure();
        }
    }

    fn unmaximize_request(&mut self, surface: ToplevelSurface) {
        if !surface.current_state().states.contains(ToplevelState::Fullscreen) {
            self.set_mode(&surface, Mode::Floating, None);
        }
        if surface.is_initial_configure_sent() {
            surface.send_configure();
        }
    }

    fn fullscreen_request(&mut self, surface: ToplevelSurface, output: Option<WlOutput>) {
        self.set_mode(&surface, Mode::Fullscreen, output);
        if surface.is_initial_configure_sent() {
            surface.send_configure();
        }
    }

    fn unfullscreen_request(&mut self, surface: ToplevelSurface) {
        self.leave_fullscreen(&surface);
        if surface.is_initial_configure_sent() {
            surface.send_configure();
        }
    }
}

impl XdgDecorationHandler for Heapwright {
    // Windows draw their own frames: a bar of ours would be one more thing between a client and the screen.
    fn new_decoration(&mut self, toplevel: ToplevelSurface) {
        client_side(&toplevel);
    }

    fn request_mode(&mut self, toplevel: ToplevelSurface, _mode: DecorationMode) {
        client_side(&toplevel);
    }

    fn unset_mode(&mut self, toplevel: ToplevelSurface) {
        client_side(&toplevel);
    }
}

fn client_side(toplevel: &ToplevelSurface) {
    toplevel.with_pending_state(|state| state.decoration_mode = Some(DecorationMode::ClientSide));
    if toplevel.is_initial_configure_sent() {
        toplevel.send_pending_configure();
    }
}

// All requests of the shell go through `crate::guard`.
delegate_global_dispatch!(Heapwright: [XdgWmBase: ()] => XdgShellState);
delegate_xdg_decoration!(Heapwright);
