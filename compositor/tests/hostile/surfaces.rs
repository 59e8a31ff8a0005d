//! Surfaces, regions, subsurfaces, viewports, cursors.

use wayland_client::{
    Proxy as _, WEnum,
    protocol::{
        wl_subcompositor::Error::{BadParent, BadSurface},
        wl_subsurface::Error::BadSurface as NoSibling,
        wl_surface::{
            Error::{DefunctRoleObject, InvalidOffset, InvalidScale, InvalidSize, InvalidTransform},
            Request, WlSurface,
        },
    },
};
use wayland_protocols::wp::viewporter::client::{
    wp_viewport::Error::{BadSize, BadValue, NoSurface, OutOfBuffer},
    wp_viewporter::Error::ViewportExists,
};

use super::{Case, Cut, Error, Fine, case, client::Client, play};

const MAX: i32 = i32::MAX;
const MIN: i32 = i32::MIN;

/// Numbers that sums and products run over with.
const EXTREMES: [i32; 8] = [MIN, MIN + 1, -1, 0, 1, 65_536, MAX - 1, MAX];

fn extreme_rectangles() -> impl Iterator<Item = (i32, i32, i32, i32)> {
    EXTREMES.into_iter().flat_map(|place| {
        EXTREMES
            .into_iter()
            .flat_map(move |size| [(place, place, size, size), (place, 1, 1, size), (1, place, size, 1)])
    })
}

/// A window whose surface gets something done to it before its picture.
fn shown(client: &mut Client, act: fn(&mut Client, &WlSurface)) {
    let window = client.configured_window();
    act(client, &window.surface);
    client.show(&window.surface, 64, 64);
}

fn transformed(client: &mut Client, transform: u32) {
    shown(client, |_, _| {});
    let window = client.configured_window();
    let transform = WEnum::from(transform);
    window.surface.send_request(Request::SetBufferTransform { transform }).unwrap();
    for (x, y, width, height) in extreme_rectangles() {
        window.surface.damage(x, y, width, height);
        window.surface.damage_buffer(x, y, width, height);
    }
    client.show(&window.surface, 64, 32);
}

fn viewport(client: &mut Client, source: Option<(f64, f64, f64, f64)>, destination: Option<(i32, i32)>) {
    let window = client.configured_window();
    let viewport = client.viewport(&window.surface);
    if let Some((x, y, width, height)) = source {
        viewport.set_source(x, y, width, height);
    }
    if let Some((width, height)) = destination {
        viewport.set_destination(width, height);
    }
    client.show(&window.surface, 64, 64);
}

/// A chain of subsurfaces with `levels` below the first; the surfaces from top to bottom.
fn chain(client: &Client, top: &WlSurface, levels: usize) -> Vec<WlSurface> {
    let mut surfaces = vec![top.clone()];
    for level in 0..levels {
        let surface = client.surface();
        client.subsurface(&surface, &surfaces[level]);
        surfaces.push(surface);
    }
    surfaces
}

const CASES: &[Case] = &[
    case(
        "regions with extreme rectangles",
        |c| {
            shown(c, |c, surface| {
                let region = c.region();
                for (x, y, width, height) in extreme_rectangles() {
                    region.add(x, y, width, height);
                    region.subtract(x, y, width, height);
                }
                surface.set_input_region(Some(&region));
                surface.set_opaque_region(Some(&region));
            });
        },
        Fine,
    ),
    case(
        "an opaque region of few extreme rectangles",
        |c| {
            shown(c, |c, surface| {
                let region = c.region();
                for (x, y, width, height) in extreme_rectangles().step_by(4).take(60) {
                    region.add(x, y, width, height);
                }
                surface.set_opaque_region(Some(&region));
            });
        },
        Fine,
    ),
    case(
        "damage of extreme rectangles",
        |c| {
            shown(c, |_, surface| {
                for (x, y, width, height) in extreme_rectangles() {
                    surface.damage(x, y, width, height);
                    surface.damage_buffer(x, y, width, height);
                }
            });
        },
        Fine,
    ),
    case("extreme damage, turned left", |c| transformed(c, 1), Fine),
    case("extreme damage, upside down", |c| transformed(c, 2), Fine),
    case("extreme damage, mirrored and turned", |c| transformed(c, 7), Fine),
    case("transform 99", |c| transformed(c, 99), Error("wl_surface", InvalidTransform as u32)),
    case("scale 0", |c| c.surface().set_buffer_scale(0), Error("wl_surface", InvalidScale as u32)),
    case("scale -1", |c| c.surface().set_buffer_scale(-1), Error("wl_surface", InvalidScale as u32)),
    case(
        "64 pixels at scale 3",
        |c| shown(c, |_, surface| surface.set_buffer_scale(3)),
        Error("wl_surface", InvalidSize as u32),
    ),
    case(
        "the largest scale, without a picture",
        |c| {
            shown(c, |_, surface| {
                surface.set_buffer_scale(MAX);
                surface.commit();
                surface.set_buffer_scale(1);
            });
        },
        Fine,
    ),
    case(
        "the largest scale",
        |c| shown(c, |_, surface| surface.set_buffer_scale(MAX)),
        Error("wl_surface", InvalidSize as u32),
    ),
    case(
        "attach with an offset",
        |c| shown(c, |_, surface| surface.attach(None, 1, 0)),
        Error("wl_surface", InvalidOffset as u32),
    ),
    case(
        "attach with extreme offsets, in the old way",
        |c| {
            let surface = c.old_compositor().create_surface(&c.handle, ());
            for offset in EXTREMES {
                surface.attach(None, offset, offset);
                surface.commit();
            }
        },
        Fine,
    ),
    case(
        "extreme offsets",
        |c| {
            shown(c, |_, surface| {
                for offset in EXTREMES {
                    surface.offset(offset, offset);
                }
            });
        },
        Fine,
    ),
    case(
        "a picture taken away twice",
        |c| {
            let window = c.window(64, 64);
            for _ in 0..2 {
                window.surface.attach(None, 0, 0);
                window.surface.commit();
            }
        },
        Fine,
    ),
    case(
        "a window's surface destroyed before the window",
        |c| c.window(64, 64).surface.destroy(),
        Error("wl_surface", DefunctRoleObject as u32),
    ),
    case(
        "128 levels of subsurfaces",
        |c| {
            let window = c.window(64, 64);
            for surface in chain(c, &window.surface, 128) {
                c.show(&surface, 1, 1);
            }
        },
        Fine,
    ),
    case(
        "129 levels of subsurfaces",
        |c| drop(chain(c, &c.surface(), 129)),
        Error("wl_subcompositor", BadParent as u32),
    ),
    case(
        "10,000 levels of subsurfaces",
        |c| drop(chain(c, &c.surface(), 10_000)),
        Cut("wl_subcompositor", BadParent as u32),
    ),
    case(
        "deep subsurfaces, from the bottom up",
        |c| {
            let mut child = c.surface();
            for _ in 0..10_000 {
                let parent = c.surface();
                c.subsurface(&child, &parent);
                child = parent;
            }
            child.commit();
        },
        Cut("wl_subcompositor", BadParent as u32),
    ),
    case(
        "two deep chains joined",
        |c| {
            let upper = chain(c, &c.surface(), 100);
            let lower = chain(c, &c.surface(), 100);
            c.subsurface(&lower[0], &upper[100]);
        },
        Error("wl_subcompositor", BadParent as u32),
    ),
    case(
        "a subsurface of itself",
        |c| {
            let surface = c.surface();
            c.subsurface(&surface, &surface);
        },
        Error("wl_subcompositor", BadParent as u32),
    ),
    case(
        "a subsurface below its own child",
        |c| {
            let surfaces = chain(c, &c.surface(), 3);
            c.subsurface(&surfaces[0], &surfaces[3]);
        },
        Error("wl_subcompositor", BadParent as u32),
    ),
    case(
        "a subsurface that is a window",
        |c| {
            let window = c.window(64, 64);
            c.subsurface(&window.surface, &c.surface());
        },
        Error("wl_subcompositor", BadSurface as u32),
    ),
    case(
        "a subsurface twice",
        |c| {
            let surfaces = chain(c, &c.surface(), 1);
            c.subsurface(&surfaces[1], &c.surface());
        },
        Error("wl_subcompositor", BadSurface as u32),
    ),
    case(
        "a subsurface above itself",
        |c| {
            let (surface, parent) = (c.surface(), c.surface());
            c.subsurface(&surface, &parent).place_above(&surface);
        },
        Error("wl_subsurface", NoSibling as u32),
    ),
    case(
        "a subsurface below itself",
        |c| {
            let (surface, parent) = (c.surface(), c.surface());
            c.subsurface(&surface, &parent).place_below(&surface);
        },
        Error("wl_subsurface", NoSibling as u32),
    ),
    case(
        "a subsurface above a stranger",
        |c| {
            let (surface, parent) = (c.surface(), c.surface());
            c.subsurface(&surface, &parent).place_above(&c.surface());
        },
        Error("wl_subsurface", NoSibling as u32),
    ),
    case(
        "subsurfaces at extreme places, nested",
        |c| {
            let window = c.window(64, 64);
            let mut parent = window.surface.clone();
            for place in EXTREMES.into_iter().cycle().take(60) {
                let surface = c.surface();
                let subsurface = c.subsurface(&surface, &parent);
                subsurface.set_position(place, place);
                subsurface.set_desync();
                c.show(&surface, 4, 4);
                parent = surface;
            }
            window.surface.commit();
        },
        Fine,
    ),
    case(
        "a subsurface used after its surface and parent have gone",
        |c| {
            let (surface, parent) = (c.surface(), c.surface());
            let subsurface = c.subsurface(&surface, &parent);
            surface.destroy();
            subsurface.set_position(1, 1);
            subsurface.place_above(&parent);
            parent.destroy();
            subsurface.set_desync();
            subsurface.destroy();
        },
        Fine,
    ),
    case("a viewport that enlarges", |c| viewport(c, None, Some((640, 480))), Fine),
    case("a viewport of the largest size", |c| viewport(c, None, Some((MAX, MAX))), Fine),
    case("a viewport of one pixel", |c| viewport(c, None, Some((1, 1))), Fine),
    case("a viewport of a line", |c| viewport(c, None, Some((MAX, 1))), Fine),
    case("a viewport of a spot", |c| viewport(c, Some((63.9, 63.9, 0.05, 0.05)), Some((MAX, MAX))), Fine),
    case("a viewport of width 0", |c| viewport(c, None, Some((0, 5))), Error("wp_viewport", BadValue as u32)),
    case(
        "a viewport of height -2",
        |c| viewport(c, None, Some((5, -2))),
        Error("wp_viewport", BadValue as u32),
    ),
    case(
        "a source of no size",
        |c| viewport(c, Some((0.0, 0.0, 0.0, 1.0)), None),
        Error("wp_viewport", BadValue as u32),
    ),
    case(
        "a source left of its buffer",
        |c| viewport(c, Some((-1.0, 0.0, 1.0, 1.0)), None),
        Error("wp_viewport", BadValue as u32),
    ),
    case(
        "a source of half pixels",
        |c| viewport(c, Some((0.0, 0.0, 1.5, 1.0)), None),
        Error("wp_viewport", BadSize as u32),
    ),
    case(
        "a source beyond its buffer",
        |c| viewport(c, Some((60.0, 0.0, 10.0, 10.0)), None),
        Error("wp_viewport", OutOfBuffer as u32),
    ),
    case(
        "a source far beyond its buffer",
        |c| viewport(c, Some((8_388_607.0, 0.0, 8_388_607.0, 8_388_607.0)), Some((10, 10))),
        Error("wp_viewport", OutOfBuffer as u32),
    ),
    case(
        "a viewport without a surface",
        |c| {
            let surface = c.surface();
            let viewport = c.viewport(&surface);
            surface.destroy();
            viewport.set_destination(1, 1);
        },
        Error("wp_viewport", NoSurface as u32),
    ),
    case(
        "two viewports of one surface",
        |c| {
            let surface = c.surface();
            c.viewport(&surface);
            c.viewport(&surface);
        },
        Error("wp_viewporter", ViewportExists as u32),
    ),
    case(
        "one viewport after another",
        |c| {
            let surface = c.surface();
            c.viewport(&surface).destroy();
            c.viewport(&surface).destroy();
        },
        Fine,
    ),
    case(
        "damage brought from a large surface to one pixel",
        |c| {
            let window = c.configured_window();
            window.surface.damage(0, 0, 16_384, 16_384);
            c.viewport(&window.surface).set_destination(1, 1);
            transformed(c, 1);
            window.surface.damage(16_000, 16_000, 384, 384);
            window.surface.set_buffer_transform(wayland_client::protocol::wl_output::Transform::_180);
            c.show(&window.surface, 4096, 4096);
        },
        Fine,
    ),
    case(
        "a large picture on one pixel, away from the corner",
        |c| {
            let window = c.window(64, 64);
            let surface = c.surface();
            // Wherever the window is, this is further to the right than a renderer with 15 bits can scale so far.
            c.subsurface(&surface, &window.surface).set_position(40, 40);
            c.viewport(&surface).set_destination(1, 1);
            c.show(&surface, 4096, 4096);
            window.surface.commit();
        },
        Fine,
    ),
    case(
        "a cursor that is a window",
        |c| {
            let window = c.window(64, 64);
            for serial in [0, 1, u32::MAX] {
                c.pointer().set_cursor(serial, Some(&window.surface), MAX, MIN);
            }
        },
        super::Any,
    ),
    case(
        "presentation feedback of a surface that has gone",
        |c| {
            let window = c.window(64, 64);
            let surface = c.surface();
            for surface in [&surface, &window.surface] {
                c.presentation.feedback(surface, &c.handle, ());
                surface.commit();
            }
            c.presentation.feedback(&surface, &c.handle, ());
            surface.destroy();
            window.toplevel.destroy();
            window.xdg_surface.destroy();
            window.surface.destroy();
        },
        Fine,
    ),
];

#[test]
fn surfaces_that_make_no_sense() {
    play(CASES);
}
