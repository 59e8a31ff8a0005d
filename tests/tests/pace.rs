//! When clients are told to draw, and when what they drew is shown.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, Outcome},
    report::report,
    vkms,
};

/// Two windows that draw when they are told to, beside each other, on a display with so many overlay planes.
#[allow(clippy::expect_used, reason = "a test helper")]
fn two_windows(overlays: u32) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(150));
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    let script = format!(
        r#"cd $LAB_OUT
        make_vkms vkms-pace {overlays}
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' & session=$!
        until_there
        drawn() {{ heapwright msg frames --last 1 --json | sed -n 's/.*"number": \([0-9]*\).*/\1/p'; }}
        frames_on() {{ # COUNT: waits until so many frames more were drawn
            until=$(($(drawn) + $1))
            until [ $(drawn) -ge $until ]; do kill -0 $session || exit 9; sleep 0.1; done
        }}
        for name in first second; do
            # Neither begins with the other.
            until_said there
            heapwright-paint --size 200x100 --until stop --json >$name.json & eval $name=$!
            until heapwright msg surfaces | grep -c ' window ' | grep -q $([ $name = first ] && echo 1 || echo 2); do
                kill -0 $session || exit 9
                sleep 0.1
            done
            frames_on 30
        done
        frames_on 100
        heapwright msg frames --last 90 --json >frames
        touch stop
        wait $first $second
        kill -TERM $session
        wait $session"#
    );
    scenario.run(&format!("{}{script}", vkms::SHELL)).expect("a guest")
}

fn keep_step(overlays: u32) {
    let outcome = two_windows(overlays);
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
    for name in ["first", "second"] {
        let told = report(&outcome, &format!("{name}.json"));
        assert!(told["presented"].as_u64() > Some(100), "{told:#}");
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
