//! When clients are told to draw, and when what they drew is shown.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, Outcome},
    report::report,
    vkms,
};

/// Runs a session on a display with so many overlay planes, with shell functions for the script.
#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(overlays: u32, script: &str) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(150));
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    scenario.run(&format!("{}{HELPERS}begin {overlays}\n{script}{END}", vkms::SHELL)).expect("a guest")
}

const HELPERS: &str = r#"
cd $LAB_OUT
begin() { # OVERLAYS
    make_vkms vkms-pace $1
    heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' & session=$!
    until_there
}
open() { # COUNT NAME ARGUMENTS: a window that is the COUNTth, until there is a file `stop`
    count=$1 name=$2
    shift 2
    heapwright-paint --size 200x100 --until stop --json "$@" >$name.json &
    eval $name=$!
    until [ $(heapwright msg surfaces | grep -c ' window ') = $count ]; do
        kill -0 $session || exit 9
        sleep 0.1
    done
}
drawn() { heapwright msg frames --last 1 --json | sed -n 's/.*"number": \([0-9]*\).*/\1/p'; }
frames_on() { # COUNT: waits until so many frames more were drawn
    until=$(($(drawn) + $1))
    until [ $(drawn) -ge $until ]; do
        kill -0 $session || exit 9
        sleep 0.1
    done
}
"#;

const END: &str = r#"
    touch stop
    wait $first $second
    kill -TERM $session
    wait $session
"#;

/// Two windows that draw when they are told to, beside each other.
fn keep_step(overlays: u32) {
    // Neither begins with the other.
    let outcome = guest(
        overlays,
        r#"open 1 first
        frames_on 30
        open 2 second
        frames_on 130
        heapwright msg frames --last 90 --json >frames"#,
    );
    let told = report(&outcome, "frames");
    let frames = told["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
    assert_eq!(frames.len(), 90, "{}", outcome.tail());
    let moved = |frame: &serde_json::Value| {
        let surfaces = frame["surfaces"].as_array().cloned().unwrap_or_default();
        surfaces.iter().filter(|surface| surface["damage_pixels"].as_u64() > Some(0)).count()
    };
    let both = frames.iter().filter(|frame| moved(frame) == 2).count();
    // On a busy machine clients are late; one after the other, they are never together.
    assert!(both * 4 > frames.len(), "both in {both} of {}\n{}", frames.len(), outcome.tail());
    // Told too early they would be together, too.
    for name in ["first", "second"] {
        let told = report(&outcome, &format!("{name}.json"));
        assert!(told["presented"].as_u64() > Some(30), "{told:#}");
        // Before its first picture a window is on no screen.
        assert!(told["told_early"].as_u64() <= Some(1), "{told:#}");
    }
}

#[test]
fn windows_that_draw_when_told_are_shown_together_and_never_told_before() {
    keep_step(2);
}

#[test]
fn so_are_they_where_all_is_composed() {
    keep_step(0);
}

/// Frames of the slow one take effect when a fence says so, six refreshes later.
#[test]
fn who_is_slow_holds_nobody_up() {
    let outcome = guest(
        2,
        r#"open 1 first
        open 2 second --fence 100
        frames_on 200"#,
    );
    let [fast, slow] = ["first", "second"].map(|name| report(&outcome, &format!("{name}.json")));
    let presented = |told: &serde_json::Value| told["presented"].as_u64().unwrap_or(0);
    assert!(presented(&slow) >= 10, "{slow:#}");
    assert!(presented(&fast) > 2 * presented(&slow), "{fast:#}\n{slow:#}");
}
