//! The pointer on a cursor plane: what lies below stays on its plane, and the picture is that of a composed one.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, Outcome},
    vkms,
};
use serde_json::Value;

#[path = "../../compositor/src/arrow.rs"]
mod arrow;
#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

/// A fullscreen client, and the pointer that comes into its middle step by step.
const SCENE: &str = r#"
cd $LAB_OUT
scene() { # NAME LOOK
    heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there; \
        exec heapwright-paint --fullscreen --still --stay 600 --tell 10 --pointer '$2' 2>told' &
    session=$!
    until_there
    until grep -q 'presented 30$' told; do kill -0 $session || exit 9; sleep 0.05; done
    fake-input at:400,400 wait:100 $(for step in 1 2 3 4 5 6 7 8 9; do echo at:4${step}0,4${step}0 wait:40; done) \
        at:500,500 wait:500 || exit 9
    proof $1
    heapwright msg frames --last 20 --json >$1.frames
    kill -TERM $session
    wait $session
    rm there told
}
"#;

/// A display without a cursor plane.
const BARE: &str = r#"
C=/sys/kernel/config/vkms/vkms-bare
mkdir $C $C/crtcs/crtc $C/planes/primary $C/encoders/enc $C/connectors/con
echo 1 >$C/planes/primary/type
ln -s $C/crtcs/crtc $C/planes/primary/possible_crtcs/
ln -s $C/crtcs/crtc $C/encoders/enc/possible_crtcs/
ln -s $C/encoders/enc $C/connectors/con/possible_encoders/
echo 1 >$C/enabled
udevadm settle
find_vkms
"#;

#[allow(clippy::expect_used, reason = "a test helper")]
fn run(default_device: bool, script: &str) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(180));
    let scenario =
        if default_device { scenario } else { scenario.kernel_argument("vkms.create_default_dev=0") };
    let display = if default_device { "" } else { BARE };
    scenario.run(&format!("{}{display}{SCENE}{script}", vkms::SHELL)).expect("a guest")
}

#[allow(clippy::panic, reason = "a test helper")]
fn frames(outcome: &Outcome, name: &str) -> Vec<Value> {
    let text = outcome.text(&format!("{name}.frames")).unwrap_or_default();
    let told: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}\n{}", outcome.tail()));
    told["outputs"][0]["frames"].as_array().cloned().unwrap_or_default()
}

/// Where the kernel has the cursor plane's picture, if it shows any that was imported.
fn place(outcome: &Outcome, name: &str) -> Option<(u32, u32)> {
    let state = outcome.text(&format!("{name}.state")).unwrap_or_default();
    let plane = vkms::plane(&state, "plane-1").filter(|plane| plane.contains("imported=yes"))?;
    let place = plane.lines().find_map(|line| line.trim().strip_prefix("crtc-pos="))?;
    let mut numbers = place.split('+').skip(1).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn crc(outcome: &Outcome, name: &str) -> Option<u32> {
    vkms::crcs(&outcome.text(&format!("{name}.crc")).unwrap_or_default()).last().copied()
}

/// The client's picture with another above it, given by its corner and the pixels that are not seen through.
fn with_above(at: (u32, u32), above: impl Fn(usize, usize) -> Option<u32>) -> u32 {
    vkms::crc(1024, 768, |x, y| {
        let inside = x.checked_sub(at.0).zip(y.checked_sub(at.1));
        inside.and_then(|(x, y)| above(x as usize, y as usize)).unwrap_or_else(|| picture::pixel(x, y, 0))
    })
}

fn with_arrow(at: (u32, u32)) -> u32 {
    with_above(at, |x, y| arrow::ARROW.get(y)?.as_bytes().get(x).copied().and_then(arrow::colour))
}

#[test]
fn moving_the_pointer_over_a_fullscreen_client_costs_no_copy() {
    let outcome = run(true, "scene arrow usual");
    let at = place(&outcome, "arrow").unwrap_or_else(|| {
        panic!(
            "no pointer on the plane:\n{}\n{}",
            outcome.text("arrow.state").unwrap_or_default(),
            outcome.tail()
        )
    });
    assert!(at.0.abs_diff(512) < 3 && at.1.abs_diff(384) < 3, "{at:?}");
    assert_eq!(crc(&outcome, "arrow"), Some(with_arrow(at)), "{}", outcome.tail());
    let frames = frames(&outcome, "arrow");
    assert_eq!(frames.len(), 20);
    for frame in &frames {
        assert_eq!(frame["surfaces"][0]["zero_copy"], true, "{frame:#}");
    }
    // Said once, before the client was there, up to its end: no frame in between was composed.
    let (before, _) = outcome.output.split_once("asked to end by a signal").unwrap_or_default();
    assert_eq!(before.matches("direct: false").count(), 1, "{}", outcome.tail());
}

#[test]
fn a_clients_own_pointer_is_copied_once_for_the_plane_and_says_so() {
    let outcome = run(true, "scene drawn drawn");
    let at = place(&outcome, "drawn").unwrap_or_default();
    // As `heapwright-paint --pointer drawn` says: 24 pixels a side with 4 of nothing at each edge, pointing with the middle.
    assert!(at.0.abs_diff(512 - 12) < 3 && at.1.abs_diff(384 - 12) < 3, "{at:?}\n{}", outcome.tail());
    let square = |x, y| ((4..20).contains(&x) && (4..20).contains(&y)).then_some(0xffff_8000);
    assert_eq!(crc(&outcome, "drawn"), Some(with_above(at, square)), "{}", outcome.tail());
    let frames = frames(&outcome, "drawn");
    let newest = frames.last().cloned().unwrap_or_default();
    let of_role = |role: &str| {
        let surfaces = newest["surfaces"].as_array().cloned().unwrap_or_default();
        surfaces.into_iter().find(|surface| surface["role"] == role).unwrap_or_default()
    };
    let (pointer, window) = (of_role("pointer"), of_role("window"));
    assert_eq!((&window["zero_copy"], &pointer["zero_copy"]), (&true.into(), &false.into()), "{newest:#}");
    assert!(pointer["plane"].as_str().is_some_and(|plane| plane.starts_with("cursor ")), "{pointer:#}");
    assert_eq!(pointer["why"], "copied once for the cursor plane, which wants its own size", "{pointer:#}");
}

#[test]
fn without_a_cursor_plane_the_picture_is_the_same_and_composed() {
    let outcome = run(false, "scene arrow usual");
    let composed = crc(&outcome, "arrow");
    // The tablet's thousandths are rounded to pixels in one way or another.
    let near = |middle: u32| middle - 2..middle + 3;
    let known = near(512).any(|x| near(384).any(|y| composed == Some(with_arrow((x, y)))));
    assert!(known, "{composed:?}\n{}", outcome.tail());
    let frames = frames(&outcome, "arrow");
    let newest = &frames.last().cloned().unwrap_or_default()["surfaces"][0];
    assert_eq!(newest["zero_copy"], false, "{newest:#}");
}
