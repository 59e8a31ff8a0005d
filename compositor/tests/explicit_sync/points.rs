//! When a commit takes effect, and when its buffer is given back: once, and by whatever way it ends.
//!
//! That a commit has taken effect is seen in that the buffer before it is given back.

use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_protocols::wp::linux_drm_syncobj::v1::client::wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1;

use super::{
    client::{Client, Synced},
    device::Timeline,
    server::Server,
};

/// A buffer with a timeline of its own.
struct Picture {
    buffer: WlBuffer,
    line: Timeline,
    timeline: WpLinuxDrmSyncobjTimelineV1,
}

impl Picture {
    fn new(server: &Server, client: &Client) -> Self {
        let line = server.world.timeline();
        Picture { buffer: client.buffer(), timeline: client.import(&line), line }
    }

    /// Commits it with acquire point 1 and release point 2, of which the first has been signalled.
    fn show(&self, on: &Synced) {
        self.line.reach(1);
        on.show(&self.buffer, &self.timeline, 1, 2);
    }

    /// Commits it with acquire point 1 and release point 2.
    fn show_late(&self, on: &Synced) {
        on.show(&self.buffer, &self.timeline, 1, 2);
    }

    fn given_back(&self) -> Vec<u64> {
        self.line.signals()
    }
}

const ONCE: [u64; 1] = [2];
const NOT_YET: [u64; 0] = [];

/// A server, a client, and pictures of it.
fn scene<const N: usize>() -> (Server, Client, [Picture; N]) {
    let mut server = Server::start();
    let client = Client::connect(&mut server);
    let pictures = std::array::from_fn(|_| Picture::new(&server, &client));
    (server, client, pictures)
}

/// Nothing is left of any client.
fn is_clean(server: &Server) {
    let sync = server.state.explicit_sync.as_ref().unwrap();
    assert_eq!((sync.waiting(), sync.in_use()), (0, 0));
    assert_eq!(server.devices.each_ref().map(super::device::Fake::open), [0, 0]);
}

#[test]
fn a_commit_takes_effect_at_its_acquire_point_and_gives_back_what_was_before() {
    let (mut server, mut client, [first, second]) = scene();
    let synced = client.synced();
    first.show(&synced);
    client.settle(&mut server).unwrap();
    second.show_late(&synced);
    client.settle(&mut server).unwrap();
    assert_eq!(server.state.explicit_sync.as_ref().unwrap().waiting(), 1);
    assert_eq!(first.given_back(), NOT_YET, "the second may not be read yet");
    second.line.reach(1);
    server.settle();
    assert_eq!((first.given_back(), second.given_back()), (ONCE.to_vec(), NOT_YET.to_vec()));
    synced.surface.attach(None, 0, 0);
    synced.surface.commit();
    client.settle(&mut server).unwrap();
    assert_eq!((first.given_back(), second.given_back()), (ONCE.to_vec(), ONCE.to_vec()));
    drop(client);
    server.settle();
    is_clean(&server);
}

#[test]
fn a_timeline_that_its_client_gives_up_lives_until_the_commit_that_waits_for_it() {
    let (mut server, mut client, [first, second]) = scene();
    let synced = client.synced();
    first.show(&synced);
    client.settle(&mut server).unwrap();
    let line = server.world.timeline();
    let acquire = client.import(&line);
    synced.sync.set_acquire_point(&acquire, 0, 1);
    synced.sync.set_release_point(&second.timeline, 0, 2);
    synced.surface.attach(Some(&second.buffer), 0, 0);
    synced.surface.commit();
    acquire.destroy();
    line.give_up();
    client.settle(&mut server).unwrap();
    assert_eq!(first.given_back(), NOT_YET);
    // The client's device, which had it too, is done.
    line.reach(1);
    server.settle();
    assert_eq!(first.given_back(), ONCE);
    drop(client);
    server.settle();
    is_clean(&server);
}

#[test]
fn a_tree_that_is_in_step_waits_for_all_its_points_and_takes_effect_at_once() {
    let (mut server, mut client, [parent_before, parent_after, child_before, child_after]) = scene();
    let (parent, child) = (client.synced(), client.synced());
    client.subsurface(&child.surface, &parent.surface);
    child_before.show(&child);
    parent_before.show(&parent);
    client.settle(&mut server).unwrap();
    child_after.show_late(&child);
    parent_after.show(&parent);
    client.settle(&mut server).unwrap();
    let before = |picture: &Picture| picture.given_back();
    assert_eq!(before(&parent_before), NOT_YET, "the parent waits for its child");
    child_after.line.reach(1);
    server.settle();
    assert_eq!((before(&parent_before), before(&child_before)), (ONCE.to_vec(), ONCE.to_vec()));
}

#[test]
fn a_child_that_goes_while_it_waits_does_not_hold_its_parent() {
    let (mut server, mut client, [parent_before, parent_after, child_after]) = scene();
    let (parent, child) = (client.synced(), client.synced());
    let role = client.subsurface(&child.surface, &parent.surface);
    parent_before.show(&parent);
    client.settle(&mut server).unwrap();
    child_after.show_late(&child);
    parent_after.show(&parent);
    client.settle(&mut server).unwrap();
    assert_eq!(parent_before.given_back(), NOT_YET);
    child.surface.destroy();
    client.settle(&mut server).unwrap();
    assert_eq!(parent_before.given_back(), ONCE);
    // Its role keeps what it had.
    role.destroy();
    client.settle(&mut server).unwrap();
    assert_eq!(child_after.given_back(), ONCE, "it was never shown");
}

#[test]
fn what_is_overtaken_before_it_was_shown_is_given_back_once() {
    let (mut server, mut client, [shown, overtaken, last]) = scene();
    let (parent, child) = (client.synced(), client.synced());
    client.subsurface(&child.surface, &parent.surface);
    shown.show(&child);
    parent.surface.commit();
    client.settle(&mut server).unwrap();
    overtaken.show(&child);
    last.show(&child);
    client.settle(&mut server).unwrap();
    assert_eq!(shown.given_back(), NOT_YET, "the parent has not been committed");
    parent.surface.commit();
    client.settle(&mut server).unwrap();
    assert_eq!([&shown, &overtaken].map(Picture::given_back), [ONCE.to_vec(), ONCE.to_vec()]);
    assert_eq!(last.given_back(), NOT_YET);
    // And one that is taken away before it was shown.
    shown.line.reach(3);
    child.show(&shown.buffer, &shown.timeline, 3, 4);
    child.surface.attach(None, 0, 0);
    child.surface.commit();
    parent.surface.commit();
    client.settle(&mut server).unwrap();
    assert_eq!((shown.given_back(), last.given_back()), (vec![2, 4], ONCE.to_vec()));
}

#[test]
fn a_buffer_that_is_committed_twice_is_given_back_at_the_end_of_both() {
    let (mut server, mut client, [twice, next]) = scene();
    let synced = client.synced();
    twice.line.reach(9);
    synced.show(&twice.buffer, &twice.timeline, 1, 10);
    synced.show(&twice.buffer, &twice.timeline, 2, 11);
    client.settle(&mut server).unwrap();
    next.show_late(&synced);
    client.settle(&mut server).unwrap();
    assert_eq!(twice.given_back(), NOT_YET, "it is shown");
    next.line.reach(1);
    server.settle();
    assert_eq!(twice.given_back(), [11], "which signals the one before as well");
}

#[test]
fn a_destroyed_buffer_is_given_back_when_it_is_no_longer_shown() {
    let (mut server, mut client, [gone, next]) = scene();
    let synced = client.synced();
    gone.show(&synced);
    gone.buffer.destroy();
    gone.timeline.destroy();
    client.settle(&mut server).unwrap();
    assert_eq!(gone.given_back(), NOT_YET);
    next.show(&synced);
    client.settle(&mut server).unwrap();
    assert_eq!(gone.given_back(), ONCE);
    assert_eq!(server.devices[0].open(), 1, "its timeline is closed with its last point");
}

#[test]
fn with_its_surface_or_its_client_all_is_given_back_once() {
    for dies in [false, true] {
        let (mut server, mut client, [shown, waits, behind]) = scene();
        let synced = client.synced();
        shown.show(&synced);
        waits.show_late(&synced);
        behind.show(&synced);
        client.settle(&mut server).unwrap();
        assert_eq!([&shown, &waits, &behind].map(Picture::given_back), [NOT_YET; 3]);
        if dies {
            let lines = [shown, waits, behind].map(|picture| picture.line);
            drop((client, synced));
            server.settle();
            assert_eq!(lines.map(|line| line.signals()), [ONCE; 3]);
        } else {
            synced.surface.destroy();
            client.settle(&mut server).unwrap();
            assert_eq!([&shown, &waits, &behind].map(Picture::given_back), [ONCE; 3]);
            drop((client, synced, shown, waits, behind));
            server.settle();
        }
        is_clean(&server);
    }
}

#[test]
fn when_the_device_goes_another_waits_and_signals() {
    let (mut server, mut client, [shown, waits, after]) = scene();
    let synced = client.synced();
    shown.show(&synced);
    client.settle(&mut server).unwrap();
    waits.show_late(&synced);
    client.settle(&mut server).unwrap();
    server.devices[0].unplug();
    waits.line.reach(1);
    server.settle();
    assert_eq!(shown.given_back(), ONCE);
    after.show(&synced);
    client.settle(&mut server).unwrap();
    assert_eq!(waits.given_back(), ONCE);
    // A new timeline as well, and when all have gone, that is said.
    let late = Picture::new(&server, &client);
    late.show(&synced);
    client.settle(&mut server).unwrap();
    assert_eq!(after.given_back(), ONCE);
    server.devices[1].unplug();
    client.import(server.world.timeline());
    let error = client.settle(&mut server).unwrap_err().unwrap();
    assert_eq!((error.object_interface.as_str(), error.code), ("wp_linux_drm_syncobj_manager_v1", 1));
    drop((client, synced));
    server.settle();
    is_clean(&server);
}

#[test]
fn the_end_of_the_compositor_gives_everything_back() {
    let (mut server, mut client, [shown]) = scene();
    let synced = client.synced();
    shown.show(&synced);
    client.settle(&mut server).unwrap();
    drop(server);
    assert_eq!(shown.given_back(), ONCE);
}
