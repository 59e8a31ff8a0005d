//! Too much of what is right.

use wayland_client::protocol::wl_subcompositor::Error::BadParent;

use super::{
    Case, Cut, Fine, case,
    client::Client,
    play,
    server::{Bystander, Server},
};

/// Waits now and then: a client's library gives up when the socket is full.
fn pace(client: &mut Client, at: i32) {
    if at % 500 == 0 {
        let _ = client.settle();
    }
}

const CASES: &[Case] = &[
    case(
        "100,000 rectangles in a region",
        |c| {
            let region = c.region();
            for at in 0..100_000 {
                region.add(at % 300, at / 300, 1, 1);
                pace(c, at);
            }
        },
        Cut("wl_region", 3),
    ),
    case(
        "an opaque region of thousands of rectangles",
        |c| {
            let window = c.configured_window();
            let region = c.region();
            for at in 0..2_000 {
                region.add(at, 0, 1, 1000);
                region.add(0, at, 1000, 1);
            }
            for _ in 0..20 {
                window.surface.set_opaque_region(Some(&region));
                c.show(&window.surface, 64, 64);
            }
        },
        Fine,
    ),
    case(
        "100,000 damaged rectangles, with and without a picture",
        |c| {
            let window = c.configured_window();
            for at in 0..100_000 {
                window.surface.damage(at % 64, at / 64 % 64, 1, 1);
                if at % 1000 == 0 {
                    window.surface.commit();
                }
                pace(c, at);
            }
            c.show(&window.surface, 64, 64);
        },
        Fine,
    ),
    case(
        "100,000 subsurfaces",
        |c| {
            let parent = c.surface();
            for at in 0..100_000 {
                c.subsurface(&c.surface(), &parent);
                pace(c, at);
            }
        },
        Cut("wl_subcompositor", BadParent as u32),
    ),
    case(
        "100,000 subsurfaces, one after another",
        |c| {
            let parent = c.surface();
            for at in 0..100_000 {
                let surface = c.surface();
                c.subsurface(&surface, &parent).destroy();
                surface.destroy();
                pace(c, at);
            }
        },
        Fine,
    ),
];

#[test]
fn floods() {
    play(CASES);
}

#[test]
fn as_many_subsurfaces_as_are_allowed_keep_nobody_from_being_served() {
    let mut server = Server::start();
    let mut bystander = Bystander::connect(&server);
    bystander.is_served();
    let mut client = Client::connect(&server.socket);
    let window = client.window(64, 64);
    let buffer = client.buffer(1, 1);
    for at in 0..4_000 {
        let surface = client.surface();
        client.subsurface(&surface, &window.surface).set_position(at % 64, at / 64);
        surface.attach(Some(&buffer), 0, 0);
        surface.commit();
        pace(&mut client, at);
    }
    window.surface.commit();
    client.settle().expect("within the limits");
    for _ in 0..10 {
        bystander.is_served();
    }
    assert!(server.ended().is_none());
}
