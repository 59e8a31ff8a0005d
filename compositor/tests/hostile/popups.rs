//! Popups and their positioners.

use wayland_client::{Proxy as _, WEnum, protocol::wl_surface::WlSurface};
use wayland_protocols::xdg::shell::client::{
    xdg_popup::{Error::InvalidGrab, XdgPopup},
    xdg_positioner::{Anchor, ConstraintAdjustment, Error::InvalidInput, Gravity, Request, XdgPositioner},
    xdg_surface::{Error::AlreadyConstructed, XdgSurface},
    xdg_wm_base::Error::{InvalidPopupParent, InvalidPositioner, NotTheTopmostPopup, Role},
};

use super::{Case, Cut, Error, Fine, case, client::Client, play};

const MAX: i32 = i32::MAX;
const MIN: i32 = i32::MIN;

/// A popup of `parent`, configured and with a picture.
fn popup(
    client: &mut Client,
    parent: &XdgSurface,
    positioner: &XdgPositioner,
) -> (WlSurface, XdgSurface, XdgPopup) {
    let surface = client.surface();
    let xdg_surface = client.xdg_surface(&surface);
    let popup = client.popup(&xdg_surface, Some(parent), positioner);
    client.configure(&surface);
    client.show(&surface, 20, 20);
    (surface, xdg_surface, popup)
}

/// A window with a popup on top of a popup.
fn stack(client: &mut Client) -> [(WlSurface, XdgSurface, XdgPopup); 2] {
    let window = client.window(64, 64);
    let positioner = client.positioner();
    let lower = popup(client, &window.xdg_surface, &positioner);
    let upper = popup(client, &lower.1, &positioner);
    [lower, upper]
}

fn placed(client: &mut Client, at: i32) {
    let window = client.window(64, 64);
    for (anchor, gravity) in [
        (Anchor::None, Gravity::None),
        (Anchor::TopLeft, Gravity::TopLeft),
        (Anchor::BottomRight, Gravity::BottomRight),
        (Anchor::TopRight, Gravity::BottomLeft),
    ] {
        let positioner = client.bare_positioner();
        positioner.set_size(MAX, MAX);
        positioner.set_anchor_rect(at, at, MAX, MAX);
        positioner.set_offset(at, at);
        positioner.set_anchor(anchor);
        positioner.set_gravity(gravity);
        positioner.set_constraint_adjustment(ConstraintAdjustment::all());
        positioner.set_reactive();
        positioner.set_parent_size(at, at);
        let (_, _, popup) = popup(client, &window.xdg_surface, &positioner);
        popup.reposition(&positioner, 7);
    }
}

/// A popup by a positioner of which `set` has set something.
fn by(client: &mut Client, set: fn(&XdgPositioner)) {
    let window = client.window(64, 64);
    let positioner = client.bare_positioner();
    set(&positioner);
    let xdg_surface = client.xdg_surface(&client.surface());
    client.popup(&xdg_surface, Some(&window.xdg_surface), &positioner);
}

const CASES: &[Case] = &[
    case("a popup on a popup", |c| drop(stack(c)), Fine),
    case("a popup at the farthest place", |c| placed(c, MAX), Fine),
    case("a popup at the least place", |c| placed(c, MIN), Fine),
    case(
        "a positioner of width 0",
        |c| by(c, |p| p.set_size(0, 1)),
        Error("xdg_positioner", InvalidInput as u32),
    ),
    case(
        "a positioner of height -1",
        |c| by(c, |p| p.set_size(1, -1)),
        Error("xdg_positioner", InvalidInput as u32),
    ),
    case(
        "a negative anchor",
        |c| by(c, |p| p.set_anchor_rect(0, 0, -1, 1)),
        Error("xdg_positioner", InvalidInput as u32),
    ),
    case(
        "an anchor that nobody knows",
        |c| by(c, |p| p.send_request(Request::SetAnchor { anchor: WEnum::Unknown(99) }).unwrap()),
        Error("xdg_positioner", InvalidInput as u32),
    ),
    case(
        "a gravity that nobody knows",
        |c| by(c, |p| p.send_request(Request::SetGravity { gravity: WEnum::Unknown(99) }).unwrap()),
        Error("xdg_positioner", InvalidInput as u32),
    ),
    case("a positioner with nothing set", |c| by(c, |_| {}), Error("xdg_wm_base", InvalidPositioner as u32)),
    case(
        "a positioner without an anchor",
        |c| by(c, |p| p.set_size(5, 5)),
        Error("xdg_wm_base", InvalidPositioner as u32),
    ),
    case(
        "a positioner with an empty anchor",
        |c| {
            by(c, |p| {
                p.set_size(5, 5);
                p.set_anchor_rect(0, 0, 0, 5);
            });
        },
        Error("xdg_wm_base", InvalidPositioner as u32),
    ),
    case(
        "a popup moved by a positioner with nothing set",
        |c| {
            let [_, (_, _, popup)] = stack(c);
            popup.reposition(&c.bare_positioner(), 1);
        },
        Error("xdg_wm_base", InvalidPositioner as u32),
    ),
    case(
        "a popup without a parent",
        |c| {
            let surface = c.surface();
            c.popup(&c.xdg_surface(&surface), None, &c.positioner());
            surface.commit();
        },
        Error("xdg_wm_base", InvalidPopupParent as u32),
    ),
    case(
        "a popup of itself",
        |c| {
            let xdg_surface = c.xdg_surface(&c.surface());
            c.popup(&xdg_surface, Some(&xdg_surface), &c.positioner());
        },
        Error("xdg_wm_base", InvalidPopupParent as u32),
    ),
    case(
        "popups of each other",
        |c| {
            let (one, other) = (c.xdg_surface(&c.surface()), c.xdg_surface(&c.surface()));
            c.popup(&one, Some(&other), &c.positioner());
            c.popup(&other, Some(&one), &c.positioner());
        },
        Error("xdg_wm_base", InvalidPopupParent as u32),
    ),
    case(
        "10,000 levels of popups",
        |c| {
            let mut parent = c.new_window().xdg_surface;
            let positioner = c.positioner();
            for _ in 0..10_000 {
                let xdg_surface = c.xdg_surface(&c.surface());
                c.popup(&xdg_surface, Some(&parent), &positioner);
                parent = xdg_surface;
            }
        },
        Cut("xdg_wm_base", InvalidPopupParent as u32),
    ),
    case(
        "a window that becomes a popup",
        |c| {
            let window = c.new_window();
            window.toplevel.destroy();
            c.popup(&window.xdg_surface, Some(&c.new_window().xdg_surface), &c.positioner());
        },
        Error("xdg_wm_base", Role as u32),
    ),
    case(
        "two popups of one surface",
        |c| {
            let [(_, xdg_surface, _), (_, upper, _)] = stack(c);
            c.popup(&upper, Some(&xdg_surface), &c.positioner());
        },
        Error("xdg_surface", AlreadyConstructed as u32),
    ),
    case(
        "the lower popup destroyed first",
        |c| {
            let [(_, _, lower), _] = stack(c);
            lower.destroy();
        },
        Error("xdg_wm_base", NotTheTopmostPopup as u32),
    ),
    case(
        "popups destroyed from the top",
        |c| {
            let [(lower_surface, lower_xdg, lower), (surface, xdg, upper)] = stack(c);
            upper.destroy();
            xdg.destroy();
            surface.destroy();
            lower.destroy();
            lower_xdg.destroy();
            lower_surface.destroy();
        },
        Fine,
    ),
    case(
        "a window destroyed below its popups",
        |c| {
            let window = c.window(64, 64);
            let positioner = c.positioner();
            let (surface, _, popup) = popup(c, &window.xdg_surface, &positioner);
            window.toplevel.destroy();
            window.xdg_surface.destroy();
            window.surface.destroy();
            c.show(&surface, 20, 20);
            popup.reposition(&positioner, 1);
            surface.commit();
        },
        Fine,
    ),
    case(
        "a grab of a popup that is shown",
        |c| {
            let [_, (_, _, upper)] = stack(c);
            upper.grab(&c.seat, 1);
        },
        Error("xdg_popup", InvalidGrab as u32),
    ),
    case(
        "grabs with absurd serials",
        |c| {
            let window = c.window(64, 64);
            for serial in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                let surface = c.surface();
                let xdg_surface = c.xdg_surface(&surface);
                let popup = c.popup(&xdg_surface, Some(&window.xdg_surface), &c.positioner());
                popup.grab(&c.seat, serial);
                surface.commit();
                popup.destroy();
                xdg_surface.destroy();
                surface.destroy();
            }
        },
        Fine,
    ),
];

#[test]
fn popups_that_make_no_sense() {
    play(CASES);
}
