//! The buffers that are made: what Smithay finds in them, and what a client makes us hold.

use std::os::fd::AsFd;

use heapwright_protocols::linux_dmabuf::client::zwp_linux_buffer_params_v1::Flags;
use smithay::backend::allocator::{Buffer, Fourcc, Modifier};
use smithay::wayland::dmabuf::get_dmabuf;
use wayland_client::protocol::wl_buffer::WlBuffer;

use super::fixture::{Client, LINEAR, NV12, Server, XR24, feedback, memfd};

fn make(client: &Client) -> WlBuffer {
    let params = client.params();
    params.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    let buffer = params.create_immed(64, 64, XR24, Flags::empty(), &client.handle(), ());
    params.destroy();
    buffer
}

#[test]
fn smithay_finds_the_planes_by_their_index() {
    let mut server = Server::new(feedback(&[(NV12, LINEAR)]));
    let mut client = server.connect(5);
    let params = client.params();
    let file = memfd(8192);
    params.add(file.as_fd(), 1, 4096, 128, 0, 0);
    params.add(file.as_fd(), 0, 0, 64, 0, 0);
    params.create(64, 63, NV12, Flags::empty());
    client.roundtrip(&mut server).unwrap();

    let dmabuf = get_dmabuf(&server.state.buffers[0]).unwrap();
    assert_eq!((dmabuf.width(), dmabuf.height()), (64, 63));
    assert_eq!((dmabuf.format().code, dmabuf.format().modifier), (Fourcc::Nv12, Modifier::Linear));
    assert_eq!(dmabuf.offsets().collect::<Vec<_>>(), [0, 4096]);
    assert_eq!(dmabuf.strides().collect::<Vec<_>>(), [64, 128]);
}

#[test]
fn a_client_holds_no_more_planes_than_its_share_and_gets_them_back() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    server.state.dmabuf.set_plane_quota(2);
    let mut client = server.connect(5);
    let mut other = server.connect(5);
    let first = make(&client);
    let _second = make(&client);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.dmabuf.planes_held(&client.id), 2);

    let params = client.params();
    params.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    params.create(64, 64, XR24, Flags::empty());
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.seen.failed, 1);
    let _theirs = make(&other);
    other.roundtrip(&mut server).unwrap();

    first.destroy();
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.buffers_destroyed, 1);
    let _third = make(&client);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.dmabuf.planes_held(&client.id), 2);
}

#[test]
fn params_that_come_to_nothing_hold_nothing() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(5);
    let cancelled = client.params();
    cancelled.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    let failing = client.params();
    failing.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.dmabuf.planes_held(&client.id), 2);
    cancelled.destroy();
    failing.create(64, 64, XR24, Flags::YInvert);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.dmabuf.planes_held(&client.id), 0);
}

#[test]
fn a_client_that_dies_leaves_nothing_behind() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut witness = server.connect(5);
    let mut client = server.connect(5);
    let _buffer = make(&client);
    let half = client.params();
    half.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    client.roundtrip(&mut server).unwrap();
    let id = client.id.clone();
    assert_eq!(server.state.dmabuf.planes_held(&id), 2);
    drop(client);
    witness.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.dmabuf.planes_held(&id), 0);
    assert_eq!(server.state.buffers_destroyed, 1);
}
