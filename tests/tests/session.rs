//! A session on a real display: what a client draws reaches the screen, and by which way.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, Outcome},
    report::report,
    vkms,
};
use serde_json::Value;

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

#[allow(clippy::expect_used, reason = "a test helper")]
fn session(script: &str) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(180));
    scenario.run(&format!("{}\n{script}", vkms::SHELL)).expect("a guest")
}

/// The CRC of the first picture of `heapwright-paint`, over the whole screen.
fn painted() -> u32 {
    vkms::crc(1024, 768, |x, y| picture::pixel(x, y, 0))
}

fn last_crc(outcome: &Outcome, name: &str) -> Option<u32> {
    vkms::crcs(&outcome.text(&format!("{name}.crc")).unwrap_or_default()).last().copied()
}

#[test]
fn a_fullscreen_heap_buffer_is_scanned_out_as_it_is() {
    let outcome = session(
        "heapwright session --device $device -- \
            heapwright-paint --fullscreen --still --frames 90 --linger 60 --json >$LAB_OUT/paint.json &
        session=$!
        until_said $LAB_OUT/paint.json
        proof painted
        kill -TERM $session
        wait $session
        echo session ended with $?",
    );
    let paint = report(&outcome, "paint.json");
    assert_eq!(paint["path"], "linux-dmabuf", "{paint}\n{}", outcome.tail());
    assert_eq!(paint["presented"], 90, "{paint}");
    assert_eq!(paint["scanout_tranche"], true, "{paint}");
    let since = paint["zero_copy_since"].as_u64().unwrap_or(0);
    assert!((1..=3).contains(&since), "every frame after the first two is zero-copy: {paint}");
    let state = outcome.text("painted.state").unwrap_or_default();
    let plane = vkms::plane(&state, "plane-0").unwrap_or_default();
    assert!(plane.contains("imported=yes"), "the plane shows an imported buffer:\n{state}");
    assert_eq!(last_crc(&outcome, "painted"), Some(painted()), "the right picture is on the screen");
    assert!(outcome.output.contains("session ended with 0"), "{}", outcome.tail());
}

#[test]
fn without_udmabuf_a_shared_memory_client_is_composed_to_the_same_picture() {
    let outcome = session(
        r#"cd $LAB_OUT
        mount --bind /dev/null /dev/udmabuf
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --shm --fullscreen --still --frames 30 --linger 60 --json' >paint.json &
        session=$!
        until_there
        until_said paint.json
        proof painted
        heapwright msg frames --last 1 --json >frames
        kill -TERM $session
        wait $session"#,
    );
    let paint = report(&outcome, "paint.json");
    assert_eq!(paint["path"], "wl_shm", "{paint}\n{}", outcome.tail());
    assert_eq!(paint["zero_copy"], 0, "composed frames are not called zero-copy: {paint}");
    assert_eq!(last_crc(&outcome, "painted"), Some(painted()), "{}", outcome.tail());
    let why = &report(&outcome, "frames")["outputs"][0]["frames"][0]["surfaces"][0]["why"];
    assert_eq!(why, "it lies in wl_shm, which the display cannot read here", "{}", outcome.tail());
}

#[test]
fn the_session_ends_with_its_last_client() {
    let outcome = session(
        "timeout 60 heapwright session --device $device --exit-with-last-client -- \
            heapwright-paint --frames 5 --json >$LAB_OUT/paint.json",
    );
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    assert_eq!(report(&outcome, "paint.json")["presented"], 5);
}

#[test]
fn a_missing_or_wrong_device_is_said_so() {
    for (device, said) in [
        ("/dev/dri/card9", "cannot open /dev/dri/card9"),
        ("/dev/null", "/dev/null"),
        ("/dev/udmabuf", "/dev/udmabuf"),
    ] {
        let outcome = session(&format!("timeout 30 heapwright session --device {device}"));
        assert_eq!(outcome.code, 1, "{}", outcome.tail());
        assert!(outcome.output.contains(said), "{}", outcome.tail());
        assert!(!outcome.output.contains("panicked"), "{}", outcome.tail());
    }
}

#[test]
fn a_mode_that_the_display_offers_is_set_and_another_is_refused() {
    let outcome = session(
        "timeout 60 heapwright session --device $device --mode 1280x720@60 --exit-with-last-client -- \
            heapwright-paint --fullscreen --frames 5 --json >$LAB_OUT/paint.json || exit 9
        timeout 30 heapwright session --device $device --mode 1281x720",
    );
    assert_eq!(outcome.code, 1, "{}", outcome.tail());
    assert_eq!(report(&outcome, "paint.json")["size"], "1280x720");
    assert!(
        outcome.output.contains("does not offer the mode 1281x720; with --mode, give one of"),
        "{}",
        outcome.tail()
    );
}

#[test]
fn keys_reach_the_focused_window_and_the_pointer_moves_windows() {
    let outcome = session(
        r#"cd $LAB_OUT
        heapwright session --device $device -- foot sh -c 'echo here >there; exec sh' &
        session=$!
        until_said there
        fake-input 'type:cp there by-key\n' || exit 9
        until_said by-key
        # The window stands in the middle; its title bar is at a fifth of the height.
        fake-input at:500,195 wait:300
        proof before
        fake-input at:500,195 press at:480,180 wait:50 at:450,150 wait:50 at:400,120 release at:500,195 wait:500
        proof moved
        kill -TERM $session
        wait $session
        echo session ended with $?"#,
    );
    assert!(outcome.output.contains("session ended with 0"), "{}", outcome.tail());
    assert_eq!(outcome.text("by-key").unwrap_or_default(), "here\n", "{}", outcome.tail());
    let (before, moved) = (last_crc(&outcome, "before"), last_crc(&outcome, "moved"));
    assert!(before.is_some() && moved.is_some(), "{before:?} {moved:?}\n{}", outcome.tail());
    assert_ne!(before, moved, "with the pointer back where it was, the window is somewhere else");
}

/// Pixels of the only surface of a role.
fn size_of(outcome: &Outcome, name: &str, role: &str) -> Option<(u64, u64)> {
    let surfaces = report(outcome, name);
    let of_role: Vec<_> = surfaces.as_array()?.iter().filter(|surface| surface["role"] == role).collect();
    let [surface] = of_role.as_slice() else { return None };
    let size = &surface["buffer"]["size"];
    Some((size[0].as_u64()?, size[1].as_u64()?))
}

#[test]
fn the_pointer_maximises_and_resizes_windows() {
    let outcome = session(
        r#"cd $LAB_OUT
        heapwright session --device $device -- foot sh -c 'echo $WAYLAND_DISPLAY >there; exec sh' &
        session=$!
        until_there
        until_shown window
        asked first
        # The button in the title bar, and where it is when the window is as large as the screen.
        fake-input at:801,195 press release wait:500
        asked maximised
        fake-input at:962,17 press release wait:500
        asked back
        # The corner at the lower right.
        fake-input at:842,824 wait:200 press wait:50 at:860,850 wait:50 at:900,880 wait:50 at:940,900 release wait:500
        asked resized
        kill -TERM $session
        wait $session"#,
    );
    let size = |name| size_of(&outcome, name, "window");
    let first = size("first");
    assert!(first.is_some_and(|(width, height)| width < 1000 && height < 700), "{first:?}");
    // foot draws its own title bar, 26 rows high, on a surface of its own.
    assert_eq!(size("maximised"), Some((1024, 768 - 26)), "{}", outcome.tail());
    assert_eq!(size("back"), first, "{}", outcome.tail());
    let larger = size("resized").zip(first).is_some_and(|((width, height), (was_width, was_height))| {
        width > was_width + 50 && height > was_height + 25
    });
    assert!(larger, "{first:?} became {:?}\n{}", size("resized"), outcome.tail());
}

#[test]
fn a_menu_opens_above_its_window_and_a_click_elsewhere_closes_it() {
    let outcome = session(
        r#"cd $LAB_OUT
        export LIBGL_ALWAYS_SOFTWARE=1
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; exec gtk4-widget-factory' &
        session=$!
        until_there
        until_shown window
        asked before
        fake-input at:200,200 wait:500 press:right release:right wait:300 &
        until_shown popup
        asked open
        wait $!
        fake-input at:600,900 wait:200 press release wait:500
        while heapwright msg surfaces | grep -q ' popup '; do sleep 0.1; done
        asked closed
        kill -TERM $session
        wait $session"#,
    );
    let popup = |name| size_of(&outcome, name, "popup");
    assert_eq!(popup("before"), None, "{}", outcome.tail());
    assert!(popup("open").is_some_and(|(width, height)| width > 50 && height > 50), "{}", outcome.tail());
    assert_eq!(popup("closed"), None, "{}", outcome.tail());
    assert!(size_of(&outcome, "closed", "window").is_some(), "the window stays: {}", outcome.tail());
}

#[test]
fn each_frame_says_what_became_of_each_surface() {
    let outcome = session(
        r#"cd $LAB_OUT
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --fullscreen --frames 60 --linger 60 --json' >paint.json &
        session=$!
        until_there
        until_said paint.json
        heapwright msg frames --last 40 --json >direct
        heapwright msg top --once >top
        heapwright msg frames --output Nowhere-1 2>nowhere && exit 9
        heapwright-paint --shm --frames 30 --linger 60 --json >shm.json & shm=$!
        until_said shm.json
        heapwright msg frames --last 10 --json >covered
        kill -TERM $session
        wait $session"#,
    );
    assert_eq!(report(&outcome, "paint.json")["presented"], 60, "{}", outcome.tail());
    let direct = report(&outcome, "direct");
    let frames = direct["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
    assert_eq!(frames.len(), 40, "{direct:#}\n{}", outcome.tail());
    for pair in frames.windows(2) {
        assert_eq!(pair[1]["number"].as_u64(), pair[0]["number"].as_u64().map(|number| number + 1));
        for time in ["drawn_us", "presented_us"] {
            assert!(pair[1][time].as_u64() > pair[0][time].as_u64(), "{pair:#?}");
        }
    }
    for frame in &frames {
        let [surface] = frame["surfaces"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            panic!("one surface: {frame:#}");
        };
        assert_eq!((&surface["zero_copy"], &surface["why"]), (&true.into(), &Value::Null), "{frame:#}");
        assert!(surface["plane"].as_str().is_some_and(|plane| plane.starts_with("primary ")), "{frame:#}");
        assert_eq!(frame["copied_bytes"], 0, "{frame:#}");
        assert_eq!(surface["bytes"], 1024 * 768 * 4, "{frame:#}");
        // It paints all of it each time.
        assert_eq!(surface["damage_pixels"], 1024 * 768, "{frame:#}");
    }
    let text = |name| outcome.text(name).unwrap_or_default();
    assert!(text("top").contains("% zero-copy  zero-copy on primary "), "{}", text("top"));
    assert!(text("top").contains("frames/s\n") && text("top").contains("\nclient "), "{}", text("top"));
    assert!(
        text("nowhere").contains("there is no output \"Nowhere-1\"; it has Virtual-1"),
        "{}",
        text("nowhere")
    );
    let covered = report(&outcome, "covered");
    let newest = covered["outputs"][0]["frames"].as_array().and_then(|frames| frames.last()).cloned();
    // Both painted all of themselves, the one above hides part of the other.
    let copied = newest.as_ref().and_then(|frame| frame["copied_bytes"].as_u64()).unwrap_or(0);
    assert!((640 * 480 * 4..=(1024 * 768 + 640 * 480) * 4).contains(&copied), "{covered:#}");
    let surfaces =
        newest.as_ref().and_then(|frame| frame["surfaces"].as_array()).cloned().unwrap_or_default();
    let why = |memory: &str| {
        let of =
            surfaces.iter().find(|surface| (surface["buffer"]["memory"] == "wl_shm") == (memory == "wl_shm"));
        of.and_then(|surface| surface["why"].as_str()).map(str::to_owned)
    };
    const ALONE: &str = "it is not all that the output shows, and no other plane is free for it";
    assert_eq!(why("wl_shm").as_deref(), Some(ALONE), "{covered:#}");
    assert_eq!(why("dma-buf").as_deref(), Some("something that is composed lies above it"), "{covered:#}");
}

#[test]
fn a_client_of_which_nothing_is_seen_goes_on_slowly_while_the_screen_stands_still() {
    let outcome = session(
        r#"cd $LAB_OUT
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --shm --stay 12 --patience 4 --tell 1 --json >hidden.json 2>told' &
        session=$!
        until_there
        until_said told
        heapwright-paint --fullscreen --still --frames 5 --linger 60 --json >above.json &
        until_said above.json
        # It gives up when nothing comes for four seconds.
        until [ -s hidden.json ] || grep -q heapwright-paint told; do kill -0 $session || exit 9; sleep 0.1; done
        kill -TERM $session
        wait $session"#,
    );
    assert!(!outcome.text("told").unwrap_or_default().contains("no answer"), "{:?}", outcome.text("told"));
    let hidden = report(&outcome, "hidden.json");
    let (committed, presented) = (hidden["committed"].as_u64(), hidden["presented"].as_u64());
    // Some five to ten commits after it was covered, of which none was shown.
    assert!(committed >= presented.map(|count| count + 3), "{hidden}");
}
