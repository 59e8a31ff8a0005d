//! What clients are told, of which version, when, and how often.

use std::sync::Arc;

use heapwright::dmabuf::{Feedback, FeedbackError, Tranche};

use super::fixture::{
    AR24, IMPLICIT, LINEAR, MAIN, NV12, Server, TILED, ToldTranche, XR24, feedback, tranche,
};

const OTHER: u64 = 0xe201;
const SCANOUT: u32 = 1;

fn rich() -> Feedback {
    Feedback::new(
        MAIN,
        vec![
            tranche(OTHER, true, &[(XR24, LINEAR), (NV12, LINEAR)]),
            tranche(MAIN, false, &[(AR24, LINEAR), (XR24, LINEAR), (XR24, TILED)]),
        ],
    )
    .unwrap()
}

#[test]
fn the_default_feedback_holds_table_devices_and_tranches_in_order() {
    let mut server = Server::new(rich());
    let mut client = server.connect(5);
    assert_eq!(client.offered("zwp_linux_dmabuf_v1"), 6);
    let object = client.default_feedback();
    client.roundtrip(&mut server).unwrap();

    let [told] = client.told(&object) else { panic!("one done, not {}", client.told(&object).len()) };
    assert_eq!(told.main_device, Some(MAIN));
    assert_eq!(told.table, [(XR24, LINEAR), (NV12, LINEAR), (AR24, LINEAR), (XR24, TILED)]);
    assert_eq!(
        told.tranches,
        [
            ToldTranche {
                target: OTHER,
                flags: SCANOUT,
                pairs: vec![(XR24, LINEAR), (NV12, LINEAR)],
                events: 1
            },
            ToldTranche {
                target: MAIN,
                flags: 0,
                pairs: vec![(AR24, LINEAR), (XR24, LINEAR), (XR24, TILED)],
                events: 1
            },
        ]
    );
    assert!(client.seen.formats.is_empty() && client.seen.modifiers.is_empty());
}

#[test]
fn version_3_hears_modifiers_of_the_main_device_and_version_1_formats() {
    let default = Feedback::new(
        MAIN,
        vec![
            tranche(OTHER, true, &[(NV12, LINEAR)]),
            tranche(MAIN, false, &[(XR24, TILED), (XR24, LINEAR), (AR24, IMPLICIT), (AR24, LINEAR)]),
            tranche(MAIN, true, &[(XR24, LINEAR)]),
        ],
    );
    let mut server = Server::new(default.unwrap());
    let third = server.connect(3);
    assert_eq!(third.seen.modifiers, [(XR24, TILED), (XR24, LINEAR), (AR24, IMPLICIT), (AR24, LINEAR)]);
    assert!(third.seen.formats.is_empty());
    let first = server.connect(1);
    assert_eq!(first.seen.formats, [XR24, AR24]);
    assert!(first.seen.modifiers.is_empty());
}

#[test]
fn more_formats_than_one_event_can_carry_come_in_several() {
    let many: Vec<(u32, u64)> = (0..3000).map(|modifier| (XR24, modifier)).collect();
    let mut server = Server::new(feedback(&many));
    let mut client = server.connect(5);
    let object = client.default_feedback();
    client.roundtrip(&mut server).unwrap();
    let told = &client.told(&object)[0];
    assert_eq!(told.tranches[0].pairs, many);
    assert_eq!(told.tranches[0].events, 3);
}

#[test]
fn a_changed_default_reaches_default_objects_and_surfaces_without_their_own() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(5);
    let (plain, _) = client.surface(&mut server);
    let (special, special_there) = client.surface(&mut server);
    let own = Arc::new(rich());
    // Before the client asks.
    server.state.dmabuf.set_surface_feedback(&special_there, Some(own.clone()));
    let objects =
        [client.default_feedback(), client.surface_feedback(&plain), client.surface_feedback(&special)];
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&objects[2])[0].tranches.len(), 2);

    server.state.dmabuf.set_default_feedback(feedback(&[(AR24, LINEAR)]));
    client.roundtrip(&mut server).unwrap();
    let counts = objects.each_ref().map(|object| client.told(object).len());
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(client.told(&objects[1])[1].table, [(AR24, LINEAR)]);

    // The same again is no news.
    server.state.dmabuf.set_default_feedback(feedback(&[(AR24, LINEAR)]));
    server.state.dmabuf.set_surface_feedback(&special_there, Some(Arc::new(rich())));
    client.roundtrip(&mut server).unwrap();
    assert_eq!(objects.each_ref().map(|object| client.told(object).len()), [2, 2, 1]);

    // Back to the default: the one of now.
    server.state.dmabuf.set_surface_feedback(&special_there, None);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&objects[2])[1].table, [(AR24, LINEAR)]);
    // And from now on it follows.
    server.state.dmabuf.set_default_feedback(feedback(&[(NV12, LINEAR)]));
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&objects[2])[2].table, [(NV12, LINEAR)]);
}

#[test]
fn the_handler_gives_a_surface_its_first_feedback() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    server.state.first_feedback = Some(Arc::new(rich()));
    let mut client = server.connect(5);
    let (surface, there) = client.surface(&mut server);
    let object = client.surface_feedback(&surface);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&object).len(), 1);
    assert_eq!(client.told(&object)[0].tranches.len(), 2);
    assert_eq!(server.state.dmabuf.feedback_of(&there).tranches().len(), 2);
}

#[test]
fn a_feedback_object_is_inert_after_its_surface() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(5);
    let (surface, there) = client.surface(&mut server);
    let object = client.surface_feedback(&surface);
    surface.destroy();
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&object).len(), 1);

    server.state.dmabuf.set_default_feedback(feedback(&[(AR24, LINEAR)]));
    server.state.dmabuf.set_surface_feedback(&there, Some(Arc::new(rich())));
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&object).len(), 1);
    object.destroy();
    client.roundtrip(&mut server).unwrap();
}

#[test]
fn a_destroyed_feedback_object_hears_no_more_but_its_sibling_does() {
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(5);
    let (surface, _) = client.surface(&mut server);
    let gone = client.surface_feedback(&surface);
    let stays = client.surface_feedback(&surface);
    gone.destroy();
    client.roundtrip(&mut server).unwrap();
    server.state.dmabuf.set_default_feedback(feedback(&[(AR24, LINEAR)]));
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.told(&stays).len(), 2);
}

#[test]
fn a_pair_once_advertised_stays_usable_after_the_news_has_changed() {
    use heapwright_protocols::linux_dmabuf::client::zwp_linux_buffer_params_v1::Flags;
    use std::os::fd::AsFd;
    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(5);
    server.state.dmabuf.set_default_feedback(feedback(&[(AR24, LINEAR)]));
    let params = client.params();
    params.add(super::fixture::memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
    params.create(64, 64, XR24, Flags::empty());
    client.roundtrip(&mut server).unwrap();
    assert_eq!(client.seen.created.len(), 1);
}

#[test]
fn a_pair_comes_once_for_each_device_and_flags() {
    let made = Feedback::new(
        MAIN,
        vec![
            tranche(MAIN, true, &[(XR24, LINEAR), (XR24, LINEAR)]),
            tranche(MAIN, false, &[(XR24, LINEAR), (0, LINEAR)]),
            tranche(MAIN, false, &[(XR24, LINEAR)]),
            tranche(MAIN, true, &[(AR24, LINEAR), (XR24, LINEAR)]),
        ],
    )
    .unwrap();
    assert_eq!(
        made.tranches(),
        [
            tranche(MAIN, true, &[(XR24, LINEAR)]),
            tranche(MAIN, false, &[(XR24, LINEAR)]),
            tranche(MAIN, true, &[(AR24, LINEAR)]),
        ]
    );
}

#[test]
fn a_feedback_that_breaks_the_protocol_cannot_be_made() {
    assert!(matches!(Feedback::new(MAIN, vec![]), Err(FeedbackError::Empty)));
    let elsewhere = vec![tranche(OTHER, false, &[(XR24, LINEAR)])];
    assert!(matches!(Feedback::new(MAIN, elsewhere), Err(FeedbackError::NoMainTranche(MAIN))));
    let many: Vec<(u32, u64)> = (0..65_537).map(|modifier| (XR24, modifier)).collect();
    let most = vec![tranche(MAIN, false, &many[1..])];
    assert_eq!(Feedback::new(MAIN, most).unwrap().pairs().count(), 65_536);
    let too_many = vec![tranche(MAIN, false, &many)];
    assert!(matches!(Feedback::new(MAIN, too_many), Err(FeedbackError::TooManyPairs(_))));
}

#[test]
fn version_6_hears_what_is_for_sampling_instead_of_a_main_device() {
    let both = Tranche { sampling: true, ..tranche(OTHER, true, &[(XR24, LINEAR)]) };
    let tranches =
        vec![both, tranche(OTHER, true, &[(NV12, LINEAR)]), tranche(MAIN, false, &[(AR24, LINEAR)])];
    let mut server = Server::new(Feedback::new(MAIN, tranches).unwrap());
    let flags = |server: &mut Server, version| {
        let mut client = server.connect(version);
        let object = client.default_feedback();
        client.roundtrip(server).unwrap();
        let [told] = client.told(&object) else { panic!("one done") };
        (told.main_device, told.tranches.iter().map(|tranche| tranche.flags).collect::<Vec<_>>())
    };
    assert_eq!(flags(&mut server, 6), (None, vec![3, 1, 2]));
    assert_eq!(flags(&mut server, 5), (Some(MAIN), vec![1, 1, 0]));
}

#[test]
fn feedback_without_a_tranche_for_sampling_is_refused() {
    let only = Tranche { sampling: false, ..tranche(MAIN, true, &[(XR24, LINEAR)]) };
    let without = Feedback::new(MAIN, vec![only.clone()]);
    assert!(matches!(without, Err(FeedbackError::NoSamplingTranche)), "{without:?}");
    // One without any purpose is left out, and then there is nothing.
    let idle = Tranche { scanout: false, ..only };
    assert!(matches!(Feedback::new(MAIN, vec![idle]), Err(FeedbackError::Empty)));
}

#[test]
fn the_device_named_for_sampling_reaches_who_imports() {
    use heapwright_protocols::linux_dmabuf::client::zwp_linux_buffer_params_v1::Flags;
    use std::os::fd::AsFd as _;

    let mut server = Server::new(feedback(&[(XR24, LINEAR)]));
    let mut client = server.connect(6);
    let create = |client: &super::fixture::Client, device: Option<u64>| {
        let params = client.params();
        if let Some(device) = device {
            params.set_sampling_device(device.to_ne_bytes().to_vec());
        }
        params.add(super::fixture::memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
        params.create(64, 64, XR24, Flags::empty());
        params
    };
    create(&client, Some(OTHER));
    create(&client, None);
    client.roundtrip(&mut server).unwrap();
    assert_eq!(server.state.sampling_devices, [Some(OTHER), None]);
    assert_eq!(client.seen.created.len(), 2);

    let used = create(&client, None);
    used.set_sampling_device(OTHER.to_ne_bytes().to_vec());
    let error = client.roundtrip(&mut server).unwrap_err();
    assert_eq!((error.object_interface.as_str(), error.code), ("zwp_linux_buffer_params_v1", 0));

    let mut client = server.connect(6);
    client.params().set_sampling_device(vec![0; 4]);
    let error = client.roundtrip(&mut server).unwrap_err();
    assert_eq!((error.object_interface.as_str(), error.code), ("zwp_linux_buffer_params_v1", 8));
}
