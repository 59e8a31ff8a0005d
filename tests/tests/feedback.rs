//! What a client is told to allocate for: the plane that shows it, for as long as that lasts and not with every change.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, Outcome},
    report::report,
    vkms,
};

/// A fullscreen client that was covered for `covered` frames of a panel, again and again; each time, it had the screen to
/// itself for longer than it takes to be told so.
#[allow(clippy::expect_used, reason = "a test helper")]
fn covered(path: &str, covered: &[u32]) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(180));
    let panel = |frames: &u32| format!("alone; heapwright-paint --size 320x200 --frames {frames}");
    let panels = covered.iter().map(panel).collect::<Vec<_>>().join("\n");
    let script = format!(
        r#"{}
        cd $LAB_OUT
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint {path} --fullscreen --still --until stop --json' >paint.json &
        session=$!
        until_there
        alone() {{ # until the last 60 frames have shown one surface
            until [ "$(heapwright msg frames --last 60 --json | grep -o '"zero_copy"' | wc -l)" = 60 ]; do sleep 0.1; done
        }}
        {panels}
        alone
        touch stop
        until_said paint.json
        heapwright msg frames --last 1 --json >frames
        kill -TERM $session
        wait $session"#,
        vkms::SHELL
    );
    scenario.run(&script).expect("a guest")
}

#[test]
fn a_client_that_is_covered_for_a_moment_is_told_nothing_and_for_long_it_is() {
    // The default, then the plane's.
    let short = report(&covered("", &[30, 30, 30]), "paint.json");
    assert_eq!(short["feedback_rounds"], 2, "{short}");
    // Taken back, and given again.
    let long = report(&covered("", &[200]), "paint.json");
    assert_eq!(long["feedback_rounds"], 4, "{long}");
    // It takes longer the second time.
    let again = report(&covered("", &[200, 200]), "paint.json");
    assert_eq!(again["feedback_rounds"], 4, "{again}");
}

#[test]
fn who_negotiated_for_plane_and_renderer_is_left_alone() {
    let long = report(&covered("--negotiate", &[200]), "paint.json");
    assert_eq!(long["changes"].as_array().map(Vec::len), Some(0), "{long}");
    assert_eq!(long["answers"].as_array().map(Vec::len), Some(1), "{long}");
    assert!(
        long["zero_copy"].as_u64() >= Some(100) && long["zero_copy_since"].as_u64() >= Some(100),
        "{long}"
    );
}
