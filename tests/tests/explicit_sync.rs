//! Explicit sync on real devices: nothing is shown before its acquire point, and nothing is given back before its time.
//!
//! In QEMU, whose virtio-gpu has timelines. vkms and bochs have none: then it is virtio-gpu that signals for their buffers.

use std::time::Duration;

use heapwright_tests::{
    displays,
    lab::{self, Outcome},
    report::report,
};

/// Shell: sessions of one display, and waits that end.
const SHELL: &str = r#"
cd $LAB_OUT
within() { # SECONDS COMMAND...: until it succeeds
    left=$(($1 * 10)); shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || { echo "in vain: $*" >&2; return 1; }
        sleep 0.1
    done
}
"#;

#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(script: &str) -> Outcome {
    let scenario = lab::qemu().with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    let outcome = scenario.run(&format!("{}{SHELL}\n{script}", displays::SHELL)).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

#[test]
fn frames_wait_for_their_acquire_points_and_buffers_for_the_end_of_their_frames() {
    // bochs scans the client's buffer out, virtio-gpu has it composed.
    let outcome = guest(
        "for display in bochs-drm virtio_gpu; do
            heapwright session --device $(node $display) --exit-with-last-client -- heapwright-paint \
                --fullscreen --frames 40 --explicit-sync 30 --json >$display.json || exit 7
        done",
    );
    for (display, zero_copy) in [("bochs-drm", true), ("virtio_gpu", false)] {
        let paint = report(&outcome, &format!("{display}.json"));
        let count = |name: &str| paint[name].as_u64().unwrap_or(u64::MAX);
        assert_eq!((count("presented"), paint["path"].as_str()), (40, Some("linux-dmabuf")), "{paint}");
        assert_eq!(count("shown_unacquired"), 0, "{paint}");
        assert_eq!(count("zero_copy") > 30, zero_copy, "{display}: {paint}");
        // The display had read each frame when its point came.
        assert_eq!(count("released_early"), 0, "{display}: {paint}");
        // All come back but the one on the screen, and those on their way.
        assert!(count("points_released") + 2 >= count("committed"), "{display}: {paint}");
    }
}

#[test]
fn a_point_that_never_comes_holds_back_its_client_alone_and_goes_with_it() {
    let outcome = guest(
        r#"
        export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
        heapwright session --device $(node bochs-drm) -- sh -c 'echo $WAYLAND_DISPLAY >/tmp/display; exec sleep 1000' &
        session=$!
        within 60 [ -s /tmp/display ] || exit 2
        export WAYLAND_DISPLAY=$(cat /tmp/display)
        files() { ls /proc/$session/fd | wc -l; }
        # What a first client leaves in caches is not counted.
        heapwright-paint --frames 5 || exit 3
        files >before
        heapwright-paint --fullscreen --explicit-sync 1000000 --patience 100 --frames 1 --tell 1 2>said &
        late=$!
        # It has committed when the compositor holds its timeline and the event of its point.
        two_more() { [ $(files) -ge $(($(cat before) + 2)) ]; }
        within 60 two_more || exit 4
        heapwright-paint --frames 40 --json >bystander.json || exit 5
        heapwright msg surfaces >surfaces
        cp said said-meanwhile
        kill -KILL $late
        as_before() { [ $(files) -le $(cat before) ]; }
        within 60 as_before || { ls -l /proc/$session/fd; exit 6; }
        kill -TERM $session
        wait $session"#,
    );
    assert_eq!(report(&outcome, "bystander.json")["presented"], 40, "{}", outcome.tail());
    assert_eq!(outcome.text("said-meanwhile").unwrap_or_default(), "", "shown before its point");
}

#[test]
fn without_a_device_that_has_timelines_nothing_is_offered() {
    // User-Mode Linux: neither vgem nor vkms has them.
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(120));
    let outcome = scenario
        .run(
            "heapwright headless --stop-after 60 -- wayland-info >$LAB_OUT/globals
            heapwright headless --stop-after 60 -- heapwright-paint --explicit-sync 2>$LAB_OUT/refused",
        )
        .expect("a guest");
    let globals = outcome.text("globals").unwrap_or_default();
    assert!(globals.contains("zwp_linux_dmabuf_v1"), "{globals}");
    assert!(!globals.contains("wp_linux_drm_syncobj_manager_v1"), "{globals}");
    assert_eq!(outcome.code, 1, "the client says so: {}", outcome.tail());
}
