//! Displays that come, go and change their mode under a session, and a device that is unplugged: windows and clients
//! follow, with the right picture.

use std::time::Duration;

use heapwright_tests::{
    displays::SHELL as NODE,
    lab::{self, Outcome},
    photograph::Photograph,
    report::report,
    vkms,
};
use serde_json::{Value, json};

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

/// A device with two connectors, each with a CRTC of its own, of which the second has no display yet; and how displays are
/// plugged in and pulled. No wait is without a bound.
const TWO: &str = r#"
C=/sys/kernel/config/vkms/vkms-two
mkdir $C $C/crtcs/crtc0 $C/crtcs/crtc1 $C/encoders/enc0 $C/encoders/enc1 $C/connectors/con0 $C/connectors/con1
for i in 0 1; do
    mkdir $C/planes/primary$i; echo 1 >$C/planes/primary$i/type
    ln -s $C/crtcs/crtc$i $C/planes/primary$i/possible_crtcs/
    ln -s $C/crtcs/crtc$i $C/encoders/enc$i/possible_crtcs/
    ln -s $C/encoders/enc$i $C/connectors/con$i/possible_encoders/
done
plug() { echo 1 >$C/connectors/con$1/status; }
pull() { echo 2 >$C/connectors/con$1/status; }
pull 1
echo 1 >$C/enabled
udevadm settle
find_vkms
cd $LAB_OUT
wait_for() { # WHAT COMMAND...: until the command succeeds
    what=$1; shift
    for try in $(seq 200); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        kill -0 $session || exit 9
        sleep 0.1
    done
    echo "waited in vain for $what"; heapwright msg outputs; heapwright msg surfaces; exit 8
}
outputs() { # NAMES: whether these outputs are there
    [ "$(heapwright msg outputs | grep -v '^ ' | cut -d' ' -f1 | tr '\n' ' ')" = "$1" ]
}
direct_on() { # OUTPUT SIZE: whether the window is there, in this size, without a copy, and nowhere else
    heapwright msg surfaces >surfaces
    grep -q "window.*: $2 " surfaces && [ "$(grep ' on ' surfaces)" = "    on $1, without a copy" ]
}
crc_of() { # CRTC NAME: keeps the CRC of what is on a screen now
    echo auto >$debug/crtc-$1/crc/control
    head -n 4 $debug/crtc-$1/crc/data >$2.crc 2>/dev/null
}
start() { # ARGUMENTS: a session with a client that covers the screen until it is told to stop
    heapwright session --device $device -- sh -c "echo \$WAYLAND_DISPLAY >there; exec heapwright-paint \
        --fullscreen --still --until stop --patience 30 --json $*" >paint.json &
    session=$!
    wait_for 'the session' test -s there
    export WAYLAND_DISPLAY=$(cat there)
    wait_for 'the client on the screen' direct_on Virtual-1 1024x768
}
finish() {
    touch stop
    wait_for 'the report' test -s paint.json
    kill -TERM $session
    wait $session
    echo session ended with $?
}
"#;

#[allow(clippy::expect_used, reason = "a test helper")]
fn two_connectors(script: &str) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(120));
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    let outcome = scenario.run(&format!("{}{TWO}{script}", vkms::SHELL)).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    assert!(outcome.output.contains("session ended with 0"), "{}", outcome.tail());
    assert!(!outcome.output.contains("panicked"), "{}", outcome.tail());
    outcome
}

/// The CRC of the picture of `heapwright-paint` over a whole screen of this size.
fn painted(width: u32, height: u32) -> Option<u32> {
    Some(vkms::crc(width, height, |x, y| picture::pixel(x, y, 0)))
}

fn crc(outcome: &Outcome, name: &str) -> Option<u32> {
    vkms::crcs(&outcome.text(&format!("{name}.crc")).unwrap_or_default()).last().copied()
}

/// Name and place of each output.
fn outputs(outcome: &Outcome, name: &str) -> Vec<(String, Value)> {
    let told = report(outcome, name);
    let told = told.as_array().cloned().unwrap_or_default();
    told.iter().map(|it| (it["name"].as_str().unwrap_or_default().to_owned(), it["place"].clone())).collect()
}

#[test]
fn a_session_lights_a_display_on_whose_crtc_another_left_a_connector_for_writing_back() {
    let script = format!(
        "{}\nmake_vkms vkms-left\n{}
        start
        writeback --leave $device $session left.png || exit 5
        # It can put nothing back in order.
        kill -9 $session; wait $session
        cat $debug/state >left.state
        rm there paint.json
        start
        crc_of 0 again
        heapwright msg outputs --json >again
        finish",
        vkms::SHELL,
        // Waits and a session as with two, on the one that was made.
        TWO.split_once("find_vkms\n").map_or("", |(_, functions)| functions)
    );
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(120));
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    let outcome = scenario.run(&script).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    let left = outcome.text("left.state").unwrap_or_default();
    let writer = left.split("connector[").find(|it| it.contains("Writeback")).unwrap_or_default();
    assert!(writer.contains("crtc=crtc-0"), "nothing was left: {left}");
    assert_eq!(crc(&outcome, "again"), painted(1024, 768));
    assert_eq!(outputs(&outcome, "again").len(), 1, "a connector for writing back is no display");
}

#[test]
fn a_second_display_is_lit_and_windows_go_to_it_when_theirs_is_pulled() {
    let outcome = two_connectors(
        r#"
        start
        plug 1
        wait_for 'the second display' outputs 'Virtual-1 Virtual-2 '
        heapwright msg outputs --json >both
        pull 0
        wait_for 'the window on the second display' direct_on Virtual-2 1024x768
        heapwright msg outputs --json >second
        crc_of 1 second
        plug 0
        wait_for 'the first display again' outputs 'Virtual-2 Virtual-1 '
        heapwright msg outputs --json >again
        pull 1
        wait_for 'the window on the first display' direct_on Virtual-1 1024x768
        crc_of 0 first
        # Frames are on their way at any time: some of them when their display is pulled.
        on=1
        for turn in 1 2 3 4 5 6; do
            to=$((3 - on))
            plug $((to - 1))
            wait_for "display $to" eval 'heapwright msg outputs | grep -q Virtual-$to'
            wait_for "frames on $on" eval "[ \$(heapwright msg frames --output Virtual-$on --last 20 --json | grep -c '\"number\"') = 20 ]"
            pull $((on - 1))
            wait_for "the window on $to" direct_on Virtual-$to 1024x768
            on=$to
        done
        finish"#,
    );
    let at = |name: &str, x: i32| (name.to_owned(), json!([x, 0]));
    assert_eq!(outputs(&outcome, "both"), [at("Virtual-1", 0), at("Virtual-2", 1024)]);
    assert_eq!(outputs(&outcome, "second"), [at("Virtual-2", 0)], "the row closes up");
    assert_eq!(outputs(&outcome, "again"), [at("Virtual-2", 0), at("Virtual-1", 1024)]);
    for name in ["second", "first"] {
        assert_eq!(crc(&outcome, name), painted(1024, 768), "{name}: the right picture\n{}", outcome.tail());
    }
    let paint = report(&outcome, "paint.json");
    // Each was shown or is told as discarded; one may be on its way at the end.
    let [presented, committed, discarded] =
        ["presented", "committed", "discarded"].map(|key| paint[key].as_u64().unwrap_or(0));
    assert!(discarded <= 16 && committed - presented - discarded <= 1, "{paint}");
}

#[test]
fn a_window_that_was_hidden_while_its_display_was_pulled_moves_on_the_next() {
    let outcome = two_connectors(
        r#"
        frames_on() { # OUTPUT: whether the last frames show the window
            [ $(heapwright msg frames --output $1 --last 20 --json | grep -c '"damage_pixels": [1-9]') = 20 ]
        }
        start --away away
        wait_for 'frames on 1' frames_on Virtual-1
        touch away
        wait_for 'no window' eval '! heapwright msg surfaces | grep -q window'
        plug 1
        wait_for 'the second display' outputs 'Virtual-1 Virtual-2 '
        pull 0
        wait_for 'the second display alone' outputs 'Virtual-2 '
        rm away
        wait_for 'frames on 2' frames_on Virtual-2
        heapwright msg frames --output Virtual-2 --last 20 --json >moving
        wait_for 'the window on the second display' direct_on Virtual-2 1024x768
        finish"#,
    );
    let told = report(&outcome, "moving");
    let frames = told["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
    let given: Vec<_> = frames.iter().filter_map(|frame| frame["drawn_us"].as_u64()).collect();
    let took = given.last().zip(given.first()).map_or(0, |(last, first)| last - first);
    // Who is told now and then only draws one a second.
    assert!(given.len() == 20 && took < 5_000_000, "{} frames in {took} us: {told:#}", given.len());
    let paint = report(&outcome, "paint.json");
    assert!(paint["presented"].as_u64() >= Some(40), "{paint}");
}

#[test]
fn a_session_outlives_its_only_display_and_shows_the_right_picture_on_the_next() {
    let outcome = two_connectors(
        r#"
        presented() { tail -n 1 told | grep -o '[0-9]*$'; }
        start --tell 1 2>told
        pull 0
        wait_for 'the screen to go' outputs ''
        heapwright msg outputs --json >none
        heapwright msg surfaces --json >surfaces.json
        before=$(presented)
        sleep 3
        # Who asks for a frame callback gets one now and then: the window lives.
        heapwright-paint --stay 4 --patience 3 --size 64x64 --json >other.json || exit 7
        echo $before $(presented) >counted
        plug 0
        wait_for 'the screen again' direct_on Virtual-1 1024x768
        crc_of 0 again
        plug 1
        wait_for 'another screen' outputs 'Virtual-1 Virtual-2 '
        pull 0; pull 1
        wait_for 'both to go' outputs ''
        plug 1
        wait_for 'the window on the other' direct_on Virtual-2 1024x768
        crc_of 1 other
        finish"#,
    );
    assert_eq!(report(&outcome, "none"), json!([]));
    let other = report(&outcome, "other.json");
    assert!((2..=12).contains(&other["committed"].as_u64().unwrap_or(0)), "slowly: {other}");
    assert_eq!(other["presented"], 0, "{other}");
    let shown = report(&outcome, "surfaces.json")[0]["shown"].clone();
    assert_eq!(shown, json!([]), "it is kept, and seen nowhere");
    let counted = outcome.text("counted").unwrap_or_default();
    let counted: Vec<_> = counted.split_whitespace().collect();
    assert_eq!(counted.first(), counted.last(), "no frame is called presented while there is no screen");
    for name in ["again", "other"] {
        assert_eq!(crc(&outcome, name), painted(1024, 768), "{name}: the right picture\n{}", outcome.tail());
    }
    let paint = report(&outcome, "paint.json");
    // One at least of each time that the screen went, and one for each second in the dark.
    assert!(paint["discarded"].as_u64() >= Some(3), "{paint}");
    assert_eq!(paint["changes"], json!([]), "{paint}");
}

#[test]
fn a_mode_is_changed_while_the_session_runs_and_zero_copy_follows() {
    let outcome = two_connectors(
        r#"
        start
        heapwright msg output Virtual-1 --mode 1280x720@60 --json >changed || exit 7
        wait_for 'the new size' direct_on Virtual-1 1280x720
        heapwright msg frames --last 96 --json >frames
        crc_of 0 changed
        heapwright msg output Virtual-1 --mode 1281x720 2>no-mode && exit 6
        heapwright msg output Virtual-7 --mode 1280x720 2>no-output && exit 5
        # It keeps its mode when it is pulled and plugged in again.
        pull 0
        wait_for 'the screen to go' outputs ''
        plug 0
        wait_for 'the same size again' direct_on Virtual-1 1280x720
        heapwright msg outputs --json >again
        crc_of 0 again
        finish"#,
    );
    let changed = report(&outcome, "changed")[0].clone();
    assert_eq!(changed["mode"]["size"], json!([1280, 720]), "{changed}");
    assert!(
        changed["device"].as_str().is_some_and(|device| device.starts_with("/dev/dri/card")),
        "{changed}"
    );
    assert_eq!(changed["planes"][0]["kind"], "primary", "{changed}");
    assert!(changed["modes"].as_array().is_some_and(|modes| modes.len() > 10), "{changed}");
    assert_eq!(report(&outcome, "again")[0]["mode"], changed["mode"]);
    for name in ["changed", "again"] {
        assert_eq!(crc(&outcome, name), painted(1280, 720), "{name}: the right picture\n{}", outcome.tail());
    }
    let text = |name| outcome.text(name).unwrap_or_default();
    let said = "Virtual-1 does not offer the mode 1281x720; it has 1024x768@60.00, ";
    assert!(text("no-mode").contains(said) && text("no-mode").contains("640x480@"), "{}", text("no-mode"));
    assert!(text("no-output").contains(r#"there is no output "Virtual-7"; it has Virtual-1"#));

    // From the old picture on the old mode to the new one on the new, there are frames with the old picture, composed:
    // no more than two, since the client's answer is the next thing it does.
    let frames = report(&outcome, "frames");
    let frames = frames["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
    let of = |frame: &Value| {
        let surface = &frame["surfaces"][0];
        (surface["buffer"]["size"][0].as_u64(), surface["zero_copy"].as_bool())
    };
    let between: Vec<_> = frames.iter().map(of).filter(|of| *of == (Some(1024), Some(false))).collect();
    assert!(between.len() <= 2, "{between:?}\n{}", outcome.tail());
}

/// Shell for a display of QEMU that can be unplugged: the kernel takes its driver away, as if it had been pulled.
const BOCHS: &str = r#"
cd $LAB_OUT
card=$(node bochs-drm)
place=$(basename $(readlink -f /sys/class/drm/${card##*/}/device))
driver=/sys/bus/pci/drivers/bochs-drm
wait_for() { # WHAT COMMAND...
    what=$1; shift
    for try in $(seq 200); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        kill -0 $session || exit 9
        sleep 0.2
    done
    echo "waited in vain for $what"; heapwright msg outputs; heapwright msg surfaces; exit 8
}
device_is() { heapwright msg outputs | grep -q " on $1:"; }
direct() { heapwright msg surfaces | grep -q ', without a copy'; }
closed() { # whether the session holds no display's node
    ! ls -l /proc/$session/fd | grep -q dri/card
}
"#;

#[test]
fn a_session_outlives_its_device_and_takes_it_again() {
    let scenario = lab::qemu().with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    let outcome = scenario
        .run(&format!(
            r#"{NODE}{BOCHS}
        heapwright session --device $card -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --fullscreen --still --until stop --patience 60 --json' >paint.json &
        session=$!
        wait_for 'the session' test -s there
        export WAYLAND_DISPLAY=$(cat there)
        wait_for 'the client on the screen' direct
        echo $place >$driver/unbind
        wait_for 'the device to be closed' closed
        heapwright msg outputs --json >none
        cpu() {{ cut -d' ' -f14 /proc/$session/stat; }}
        before=$(cpu); sleep 4; echo $(($(cpu) - before)) >ticks
        echo $place >$driver/bind
        wait_for 'the device again' device_is $(node bochs-drm)
        wait_for 'the client on the screen again' direct
        lab-shot bochs again || exit 7
        touch stop
        wait_for 'the report' test -s paint.json
        kill -TERM $session
        wait $session
        echo session ended with $?"#
        ))
        .expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    assert!(outcome.output.contains("session ended with 0"), "{}", outcome.tail());
    assert_eq!(report(&outcome, "none"), json!([]));
    // Of 400 ticks in which there is nothing to do.
    let ticks = outcome.text("ticks").unwrap_or_default().trim().parse::<u64>().unwrap_or(u64::MAX);
    assert!(ticks < 100, "{ticks} ticks without a screen\n{}", outcome.tail());
    let photograph =
        Photograph::parse(&outcome.file("again.ppm").expect("a photograph")).expect("a whole PPM");
    assert_eq!(photograph.differing(|x, y| picture::pixel(x, y, 0)), 0, "the right picture");
    let paint = report(&outcome, "paint.json");
    assert!(paint["zero_copy_since"].as_u64() > Some(0), "{paint}");
}

#[test]
fn without_a_name_another_device_is_taken() {
    let scenario = lab::qemu().with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    // Displays that can be unplugged, and no other.
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    let outcome = scenario
        .run(&format!(
            r#"{NODE}{BOCHS}
        heapwright session -- sh -c 'echo $WAYLAND_DISPLAY >there; \
            exec heapwright-paint --fullscreen --still --until stop --patience 60 --json' >paint.json &
        session=$!
        wait_for 'the session' test -s there
        export WAYLAND_DISPLAY=$(cat there)
        on_it() {{ heapwright msg surfaces | grep -q '^    on '; }}
        wait_for 'the client on the screen' on_it
        # Whichever it took, that one goes.
        first=$(heapwright msg outputs | grep -o '/dev/dri/card[0-9]*')
        at=$(readlink -f /sys/class/drm/${{first#/dev/dri/}}/device)
        basename $at >$(readlink -f $at/driver)/unbind
        another() {{ heapwright msg outputs | grep -q ' on /dev/dri/' && ! device_is $first; }}
        wait_for 'another device' another
        heapwright msg outputs >outputs
        wait_for 'the window on it' on_it
        touch stop
        wait_for 'the report' test -s paint.json
        kill -TERM $session
        wait $session
        echo session ended with $?"#
        ))
        .expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    assert!(outcome.output.contains("session ended with 0"), "{}", outcome.tail());
}
