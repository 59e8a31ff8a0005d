//! Requests that no client should make: each ends its client with the protocol's code, and nobody else.

use super::{
    client::{Callback, Client},
    device::World,
    server::Server,
};

const MANAGER: &str = "wp_linux_drm_syncobj_manager_v1";
const SURFACE: &str = "wp_linux_drm_syncobj_surface_v1";
const SURFACE_EXISTS: u32 = 0;
const INVALID_TIMELINE: u32 = 1;
const NO_SURFACE: u32 = 1;
const UNSUPPORTED_BUFFER: u32 = 2;
const NO_BUFFER: u32 = 3;
const NO_ACQUIRE_POINT: u32 = 4;
const NO_RELEASE_POINT: u32 = 5;
const CONFLICTING_POINTS: u32 = 6;

type Case = (&'static str, fn(&mut Client, &World), Option<(&'static str, u32)>);

const CASES: &[Case] = &[
    ("right use", |c, world| c.synced().show(&c.buffer(), &c.import(world.timeline()), 1, 2), None),
    (
        "points on two timelines in any order",
        |c, world| {
            let (synced, one, other) = (c.synced(), c.import(world.timeline()), c.import(world.timeline()));
            synced.surface.attach(Some(&c.buffer()), 0, 0);
            synced.sync.set_acquire_point(&one, 0, 9);
            synced.sync.set_release_point(&other, 0, 1);
            synced.surface.commit();
        },
        None,
    ),
    (
        "an acquire point and no buffer",
        |c, world| {
            let synced = c.synced();
            synced.sync.set_acquire_point(&c.import(world.timeline()), 0, 1);
            synced.surface.commit();
        },
        Some((SURFACE, NO_BUFFER)),
    ),
    (
        "a release point and no buffer",
        |c, world| {
            let synced = c.synced();
            synced.sync.set_release_point(&c.import(world.timeline()), 0, 1);
            synced.surface.commit();
        },
        Some((SURFACE, NO_BUFFER)),
    ),
    (
        "both points and no buffer any more",
        |c, world| {
            let synced = c.synced();
            synced.surface.attach(None, 0, 0);
            synced.points(&c.import(world.timeline()), 1, 2);
            synced.surface.commit();
        },
        Some((SURFACE, NO_BUFFER)),
    ),
    (
        "a buffer without points",
        |c, _| {
            let synced = c.synced();
            synced.surface.attach(Some(&c.buffer()), 0, 0);
            synced.surface.commit();
        },
        Some((SURFACE, NO_ACQUIRE_POINT)),
    ),
    (
        "a buffer without acquire point",
        |c, world| {
            let synced = c.synced();
            synced.surface.attach(Some(&c.buffer()), 0, 0);
            synced.sync.set_release_point(&c.import(world.timeline()), 0, 1);
            synced.surface.commit();
        },
        Some((SURFACE, NO_ACQUIRE_POINT)),
    ),
    (
        "a buffer without release point",
        |c, world| {
            let synced = c.synced();
            synced.surface.attach(Some(&c.buffer()), 0, 0);
            synced.sync.set_acquire_point(&c.import(world.timeline()), 0, 1);
            synced.surface.commit();
        },
        Some((SURFACE, NO_RELEASE_POINT)),
    ),
    (
        "the points of the commit before are not those of this one",
        |c, world| {
            let (synced, buffer) = (c.synced(), c.buffer());
            synced.show(&buffer, &c.import(world.timeline()), 1, 2);
            synced.surface.attach(Some(&buffer), 0, 0);
            synced.surface.commit();
        },
        Some((SURFACE, NO_ACQUIRE_POINT)),
    ),
    (
        "release at acquire",
        |c, world| c.synced().show(&c.buffer(), &c.import(world.timeline()), 7, 7),
        Some((SURFACE, CONFLICTING_POINTS)),
    ),
    (
        "release before acquire, by the high half",
        |c, world| c.synced().show(&c.buffer(), &c.import(world.timeline()), 1 << 32, 7),
        Some((SURFACE, CONFLICTING_POINTS)),
    ),
    (
        "shared memory",
        |c, world| c.synced().show(&c.shm_buffer(), &c.import(world.timeline()), 1, 2),
        Some((SURFACE, UNSUPPORTED_BUFFER)),
    ),
    (
        "a single pixel",
        |c, world| c.synced().show(&c.pixel(), &c.import(world.timeline()), 1, 2),
        Some((SURFACE, UNSUPPORTED_BUFFER)),
    ),
    (
        "a timeline that is a pipe",
        |c, _| drop(c.import(rustix::pipe::pipe().unwrap().0)),
        Some((MANAGER, INVALID_TIMELINE)),
    ),
    (
        "more timelines than a client may hold",
        |c, world| {
            let timeline = world.timeline();
            for _ in 0..2000 {
                c.import(&timeline.file);
            }
        },
        Some((MANAGER, INVALID_TIMELINE)),
    ),
    (
        "more commits that wait than a client may have",
        |c, world| {
            let (synced, buffer, timeline) = (c.synced(), c.buffer(), c.import(world.timeline()));
            for point in 1..2000 {
                synced.show(&buffer, &timeline, 2 * point, 2 * point + 1);
            }
        },
        Some(("wl_display", 3)),
    ),
    (
        "two sync objects of a surface",
        |c, _| {
            let surface = c.surface();
            c.sync_of(&surface);
            c.sync_of(&surface);
        },
        Some((MANAGER, SURFACE_EXISTS)),
    ),
    (
        "one after the other",
        |c, _| {
            let surface = c.surface();
            c.sync_of(&surface).destroy();
            c.sync_of(&surface);
        },
        None,
    ),
    (
        "the second is looked after like the first",
        |c, _| {
            let surface = c.surface();
            c.sync_of(&surface).destroy();
            c.sync_of(&surface);
            surface.attach(Some(&c.buffer()), 0, 0);
            surface.commit();
        },
        Some((SURFACE, NO_ACQUIRE_POINT)),
    ),
    (
        "two after a destroyed one",
        |c, _| {
            let surface = c.surface();
            c.sync_of(&surface).destroy();
            c.sync_of(&surface);
            c.sync_of(&surface);
        },
        Some((MANAGER, SURFACE_EXISTS)),
    ),
    (
        "what a destroyed sync object said is forgotten",
        |c, world| {
            let synced = c.synced();
            synced.points(&c.import(world.timeline()), 2, 1);
            synced.sync.destroy();
            synced.surface.attach(Some(&c.shm_buffer()), 0, 0);
            synced.surface.commit();
        },
        None,
    ),
    (
        "an acquire point of a destroyed surface",
        |c, world| {
            let synced = c.synced();
            synced.surface.destroy();
            synced.sync.set_acquire_point(&c.import(world.timeline()), 0, 1);
        },
        Some((SURFACE, NO_SURFACE)),
    ),
    (
        "a release point of a destroyed surface",
        |c, world| {
            let synced = c.synced();
            synced.surface.destroy();
            synced.sync.set_release_point(&c.import(world.timeline()), 0, 1);
        },
        Some((SURFACE, NO_SURFACE)),
    ),
    (
        "a sync object that outlives its surface, and goes",
        |c, _| {
            let synced = c.synced();
            synced.surface.destroy();
            synced.sync.destroy();
        },
        None,
    ),
    (
        "a timeline that is destroyed before the commit it is for",
        |c, world| {
            let (synced, timeline) = (c.synced(), c.import(world.timeline()));
            synced.points(&timeline, 1, 2);
            timeline.destroy();
            synced.surface.attach(Some(&c.buffer()), 0, 0);
            synced.surface.commit();
        },
        None,
    ),
    (
        "points set twice: the last ones count",
        |c, world| {
            let (synced, timeline) = (c.synced(), c.import(world.timeline()));
            synced.points(&timeline, 2, 1);
            synced.show(&c.buffer(), &timeline, 1, 2);
        },
        None,
    ),
];

#[test]
fn each_misuse_ends_its_client_by_its_code_and_nobody_else() {
    let mut server = Server::start();
    let mut bystander = Client::connect(&mut server);
    let (shown, buffer) = (bystander.synced(), bystander.buffer());
    let line = server.world.timeline();
    let timeline = bystander.import(&line.file);
    let mut failures = Vec::new();
    for (index, (says, act, expected)) in (0_u64..).zip(CASES) {
        let mut client = Client::connect(&mut server);
        act(&mut client, &server.world);
        let heard = client.settle(&mut server);
        let right = match (&heard, expected) {
            (Ok(()), None) => true,
            (Err(Some(error)), Some(expected)) => (error.object_interface.as_str(), error.code) == *expected,
            // Of a flood.
            (Err(None), Some((interface, _))) => *interface == "wl_display",
            _ => false,
        };
        if !right {
            failures.push(format!("{says}: expected {expected:?}, heard {heard:?}"));
        }
        drop(client);
        // Whoever was there before goes on: commits, waits for its point, and is answered.
        shown.show(&buffer, &timeline, 2 * index + 1, 2 * index + 2);
        shown.surface.frame(&bystander.handle, Callback::Frame);
        bystander.settle(&mut server).unwrap();
        line.reach(2 * index + 1);
        bystander.settle(&mut server).unwrap();
        let sync = server.state.explicit_sync.as_ref().unwrap();
        assert_eq!((sync.waiting(), sync.in_use()), (0, 1), "after {says}");
        assert_eq!(server.devices[0].open(), 1, "after {says}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
