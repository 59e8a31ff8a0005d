//! `wl_shm` without a copy: the display reads the client's own memory, and gives it back when it has read it.

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

fn crcs(outcome: &Outcome, name: &str) -> Vec<u32> {
    vkms::crcs(&outcome.text(name).unwrap_or_default())
}

/// The CRC of the first picture of `heapwright-paint`, over the whole screen.
fn painted() -> u32 {
    vkms::crc(1024, 768, |x, y| picture::pixel(x, y, 0))
}

#[test]
fn a_sealed_pool_is_scanned_out_as_it_is_from_a_buffers_second_showing_on() {
    let outcome = session(
        r#"cd $LAB_OUT
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --shm --fullscreen --still --frames 90 --linger 60 --json' >paint.json &
        session=$!
        until_there
        until_said paint.json
        proof painted
        heapwright msg frames --last 1 --json >frames
        # What is lent is a dma-buf while it is lent, and none after.
        cp /sys/kernel/debug/dma_buf/bufinfo lent
        kill -TERM $session
        wait $session
        cp /sys/kernel/debug/dma_buf/bufinfo after"#,
    );
    let paint = report(&outcome, "paint.json");
    assert_eq!((&paint["path"], &paint["presented"]), (&"wl_shm".into(), &90.into()), "{}", outcome.tail());
    let since = paint["zero_copy_since"].as_u64().unwrap_or(0);
    assert!((2..=7).contains(&since), "from the second showing of one of three buffers on: {paint}");
    // Of the frames after that, none is composed.
    assert_eq!(paint["zero_copy"].as_u64().map(|count| count + since - 1), Some(90), "{paint}");
    let state = outcome.text("painted.state").unwrap_or_default();
    let plane = vkms::plane(&state, "plane-0").unwrap_or_default();
    assert!(plane.contains("imported=yes"), "the plane shows an imported buffer:\n{state}");
    assert_eq!(crcs(&outcome, "painted.crc").last(), Some(&painted()), "the right picture is on the screen");
    let surface = &report(&outcome, "frames")["outputs"][0]["frames"][0]["surfaces"][0];
    assert_eq!((&surface["zero_copy"], &surface["why"]), (&true.into(), &Value::Null), "{surface}");
    assert_eq!(surface["buffer"]["memory"], "wl_shm", "{surface}");
    let of_udmabuf = |name| outcome.text(name).unwrap_or_default().matches("udmabuf").count();
    assert!(of_udmabuf("lent") > 0, "{:?}", outcome.text("lent"));
    assert_eq!(of_udmabuf("after"), 0, "{:?}", outcome.text("after"));
}

#[test]
fn no_buffer_is_given_back_before_the_display_has_the_next() {
    for path in ["--shm", "--negotiate", ""] {
        let outcome = session(&format!(
            "timeout 60 heapwright session --device $device --exit-with-last-client -- \
                heapwright-paint {path} --fullscreen --still --buffers 2 --frames 120 --json >$LAB_OUT/paint.json"
        ));
        let paint = report(&outcome, "paint.json");
        assert!(paint["zero_copy"].as_u64() >= Some(110), "{path}: {paint}\n{}", outcome.tail());
        assert_eq!(paint["released_early"], 0, "{path}: {paint}");
    }
}
