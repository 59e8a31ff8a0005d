//! Windows.

use wayland_client::{Proxy as _, WEnum};
use wayland_protocols::xdg::shell::client::{
    xdg_surface::Error::{
        AlreadyConstructed, DefunctRoleObject, InvalidSerial, InvalidSize, NotConstructed, UnconfiguredBuffer,
    },
    xdg_toplevel::{
        Error::{InvalidParent, InvalidResizeEdge, InvalidSize as InvalidLimit},
        Request,
    },
    xdg_wm_base::Error::{DefunctSurfaces, InvalidSurfaceState, Role},
};

use super::{Case, Error, Fine, case, client::Client, play};

const MAX: i32 = i32::MAX;
const MIN: i32 = i32::MIN;

fn limited(client: &mut Client, min: (i32, i32), max: (i32, i32)) {
    let window = client.configured_window();
    window.toplevel.set_min_size(min.0, min.1);
    window.toplevel.set_max_size(max.0, max.1);
    client.show(&window.surface, 64, 64);
}

fn geometry(client: &mut Client, (x, y): (i32, i32), (width, height): (i32, i32)) {
    let window = client.configured_window();
    window.xdg_surface.set_window_geometry(x, y, width, height);
    client.show(&window.surface, 64, 64);
}

const CASES: &[Case] = &[
    case("a window", |c| drop(c.window(64, 64)), Fine),
    case("limits of any size", |c| limited(c, (0, 0), (MAX, MAX)), Fine),
    case("the largest limits", |c| limited(c, (MAX, MAX), (MAX, MAX)), Fine),
    case("a minimum and no maximum", |c| limited(c, (100, 100), (0, 0)), Fine),
    case("a minimum of -1", |c| limited(c, (-1, 10), (0, 0)), Error("xdg_toplevel", InvalidLimit as u32)),
    case(
        "a maximum of the least",
        |c| limited(c, (0, 0), (0, MIN)),
        Error("xdg_toplevel", InvalidLimit as u32),
    ),
    case(
        "a minimum above the maximum",
        |c| limited(c, (10, 200), (100, 100)),
        Error("xdg_toplevel", InvalidLimit as u32),
    ),
    case(
        "a window of geometry 0x0",
        |c| geometry(c, (0, 0), (0, 0)),
        Error("xdg_surface", InvalidSize as u32),
    ),
    case(
        "a window of negative geometry",
        |c| geometry(c, (0, 0), (64, -1)),
        Error("xdg_surface", InvalidSize as u32),
    ),
    case("a window of the largest geometry", |c| geometry(c, (MAX, MAX), (MAX, MAX)), Fine),
    case("a window of far geometry", |c| geometry(c, (MIN, MIN), (1, MAX)), Fine),
    case(
        "geometry of what is no window",
        |c| c.xdg_surface(&c.surface()).set_window_geometry(0, 0, 1, 1),
        Error("xdg_surface", NotConstructed as u32),
    ),
    case(
        "a window of a cursor or subsurface",
        |c| {
            let surface = c.surface();
            c.subsurface(&surface, &c.surface());
            c.xdg_surface(&surface);
        },
        Error("xdg_wm_base", Role as u32),
    ),
    case(
        "two xdg_surfaces of one surface",
        |c| {
            let surface = c.surface();
            c.xdg_surface(&surface);
            c.xdg_surface(&surface);
        },
        Error("xdg_wm_base", Role as u32),
    ),
    case(
        "a window of a surface with a buffer attached",
        |c| {
            let surface = c.surface();
            surface.attach(Some(&c.buffer(64, 64)), 0, 0);
            c.xdg_surface(&surface);
        },
        Error("xdg_wm_base", InvalidSurfaceState as u32),
    ),
    case(
        "a window of a surface with a buffer committed",
        |c| {
            let surface = c.surface();
            c.show(&surface, 64, 64);
            c.xdg_surface(&surface);
        },
        Error("xdg_wm_base", InvalidSurfaceState as u32),
    ),
    case(
        "a window, again a window",
        |c| {
            let window = c.window(64, 64);
            window.toplevel.destroy();
            window.xdg_surface.destroy();
            window.surface.attach(None, 0, 0);
            window.surface.commit();
            let xdg_surface = c.xdg_surface(&window.surface);
            c.toplevel(&xdg_surface);
            c.configure(&window.surface);
            c.show(&window.surface, 32, 32);
        },
        Fine,
    ),
    case(
        "two toplevels of one surface",
        |c| drop(c.toplevel(&c.new_window().xdg_surface)),
        Error("xdg_surface", AlreadyConstructed as u32),
    ),
    case(
        "a popup of a window's surface",
        |c| {
            let window = c.new_window();
            c.popup(&window.xdg_surface, Some(&window.xdg_surface), &c.positioner());
        },
        Error("xdg_surface", AlreadyConstructed as u32),
    ),
    case(
        "a configure that was never sent",
        |c| c.configured_window().xdg_surface.ack_configure(u32::MAX - 5),
        Error("xdg_surface", InvalidSerial as u32),
    ),
    case(
        "a configure acknowledged without a role",
        |c| c.xdg_surface(&c.surface()).ack_configure(1),
        Error("xdg_surface", NotConstructed as u32),
    ),
    case(
        "a buffer before the first configure",
        |c| c.show(&c.new_window().surface, 64, 64),
        Error("xdg_surface", UnconfiguredBuffer as u32),
    ),
    case(
        "a buffer without any role",
        |c| {
            let surface = c.surface();
            c.xdg_surface(&surface);
            c.show(&surface, 64, 64);
        },
        Error("xdg_surface", UnconfiguredBuffer as u32),
    ),
    case(
        "an xdg_surface destroyed before its toplevel",
        |c| c.window(64, 64).xdg_surface.destroy(),
        Error("xdg_surface", DefunctRoleObject as u32),
    ),
    case(
        "the shell destroyed before its windows",
        |c| {
            c.window(64, 64);
            c.wm_base.destroy();
        },
        Error("xdg_wm_base", DefunctSurfaces as u32),
    ),
    case(
        "a window's own child",
        |c| {
            let window = c.window(64, 64);
            window.toplevel.set_parent(Some(&window.toplevel));
        },
        Error("xdg_toplevel", InvalidParent as u32),
    ),
    case(
        "windows that are parents of each other",
        |c| {
            let (one, other) = (c.window(64, 64), c.window(64, 64));
            one.toplevel.set_parent(Some(&other.toplevel));
            other.toplevel.set_parent(Some(&one.toplevel));
        },
        Error("xdg_toplevel", InvalidParent as u32),
    ),
    case(
        "an edge that no window has",
        |c| {
            let window = c.window(64, 64);
            let edges = WEnum::Unknown(3);
            window.toplevel.send_request(Request::Resize { seat: c.seat.clone(), serial: 1, edges }).unwrap();
        },
        Error("xdg_toplevel", InvalidResizeEdge as u32),
    ),
    case(
        "moves and menus with absurd serials",
        |c| {
            let window = c.window(64, 64);
            for serial in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                window.toplevel._move(&c.seat, serial);
                window.toplevel.show_window_menu(&c.seat, serial, MIN, MAX);
                let edges = WEnum::Unknown(1)
                    .into_result()
                    .unwrap_or(wayland_protocols::xdg::shell::client::xdg_toplevel::ResizeEdge::TopLeft);
                window.toplevel.resize(&c.seat, serial, edges);
            }
        },
        Fine,
    ),
    case(
        "every mode in turn, before and after the picture",
        |c| {
            let window = c.new_window();
            let every = |toplevel: &wayland_protocols::xdg::shell::client::xdg_toplevel::XdgToplevel| {
                toplevel.unset_fullscreen();
                toplevel.set_fullscreen(None);
                toplevel.unset_maximized();
                toplevel.set_maximized();
                toplevel.unset_fullscreen();
                toplevel.set_minimized();
            };
            every(&window.toplevel);
            c.configure(&window.surface);
            every(&window.toplevel);
            c.show(&window.surface, 64, 64);
            every(&window.toplevel);
        },
        Fine,
    ),
];

#[test]
fn windows_that_make_no_sense() {
    play(CASES);
}
