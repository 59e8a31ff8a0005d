//! Negotiation on a real display: what a client states, and where its buffers lie then.

use std::time::Duration;

use heapwright_tests::{
    displays::SHELL as NODE,
    lab::{self, Outcome, Scenario},
    report::report,
    vkms,
};
use serde_json::{Value, json};

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

/// Shell: how many dma-bufs there are of those that clients asked for.
const HELD: &str = "held() { grep -c negotiated /sys/kernel/debug/dma_buf/bufinfo; }";

#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(scenario: Scenario, script: &str) -> Outcome {
    let scenario = scenario.with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    let outcome = scenario.run(&format!("{}\n{HELD}\n{script}", vkms::SHELL)).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

fn session(script: &str) -> Outcome {
    guest(lab::uml(), script)
}

#[test]
fn negotiated_buffers_reach_the_screen_without_a_copy_and_go_with_their_client() {
    let outcome = session(
        "export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >/tmp/display; exec sleep 1000' &
        session=$!
        until_said /tmp/display
        export WAYLAND_DISPLAY=$(cat /tmp/display)
        heapwright-paint --negotiate --fullscreen --band --frames 60 --linger 60 --json >$LAB_OUT/paint.json &
        paint=$!
        until_said $LAB_OUT/paint.json
        cat $debug/state >$LAB_OUT/state
        crc painted
        held >$LAB_OUT/held
        kill $paint
        # A second or two after its client, nothing of it is left.
        until [ $(held) = 0 ]; do kill -0 $session || exit 9; sleep 0.1; done
        kill -TERM $session
        wait $session",
    );
    let paint = report(&outcome, "paint.json");
    assert_eq!(paint["path"], "negotiated", "{paint}");
    assert_eq!(paint["presented"], 60, "{paint}");
    assert_eq!(paint["zero_copy_since"], 1, "from the first frame on: {paint}");
    let answers = paint["answers"].as_array().cloned().unwrap_or_default();
    let [answer] = &answers[..] else { panic!("one answer: {paint}") };
    assert_eq!(answer["satisfied"], json!(["(display)", "(renderer)", "paint"]), "{paint}");
    assert_eq!((&answer["buffers"], &answer["size"]), (&json!(3), &json!("1024x768")), "{paint}");
    assert_eq!(outcome.text("held").unwrap_or_default().trim(), "3");
    let state = outcome.text("state").unwrap_or_default();
    assert!(vkms::plane(&state, "plane-0").unwrap_or_default().contains("imported=yes"), "{state}");
    // Each buffer was painted in part only after its first picture, and is whole all the same.
    let last = paint["committed"].as_u64().unwrap_or(0) as u32 - 1;
    let expected = vkms::crc(1024, 768, |x, y| picture::Style::Band.pixel(x, y, 768, last));
    let seen = vkms::crcs(&outcome.text("painted.crc").unwrap_or_default());
    assert_eq!(seen.last(), Some(&expected), "the picture of frame {last}");
}

#[test]
fn a_window_that_becomes_fullscreen_and_back_is_told_and_follows() {
    let outcome = session(
        "heapwright session --device $device --exit-with-last-client -- \
            heapwright-paint --negotiate --toggle 20 --frames 90 --json >$LAB_OUT/paint.json",
    );
    let paint = report(&outcome, "paint.json");
    assert_eq!(paint["presented"], 90, "{paint}");
    assert_eq!(paint["discarded"], 0, "no frame is lost: {paint}");
    assert_eq!(paint["refused"], json!([]), "{paint}");
    let answers = paint["answers"].as_array().cloned().unwrap_or_default();
    let display = json!("(display)");
    let told: Vec<_> = answers
        .iter()
        .map(|it| {
            let shown = it["satisfied"].as_array().is_some_and(|all| all.contains(&display));
            (it["size"].as_str().unwrap_or_default(), shown)
        })
        .collect();
    let (window, whole) = (("640x480", false), ("1024x768", true));
    assert_eq!(told, [window, whole, window, whole, window], "{paint}");
    // For leaving the whole screen nothing need be told: the old buffers do as well.
    assert_eq!(paint["changes"], json!(["better", "better"]), "{paint}");
    let zero_copy = paint["zero_copy"].as_u64().unwrap_or(0);
    assert!((30..=40).contains(&zero_copy), "all but the first frames of each time: {paint}");
}

#[test]
fn what_cannot_be_is_refused_by_the_names_of_the_constraints() {
    let asks = json!([
        { "name": "camera", "role": "capture",
          "options": [{ "format": "XR24", "modifier": "LINEAR", "exact_pitch": 2600 }] },
        { "name": "encoder", "role": "encode",
          "options": [{ "format": "XR24", "modifier": "any", "pitch_align": 256 }] },
        { "name": "viewer", "role": "cpu", "required": false, "memory": { "cpu_access": { "read": "often" } } }
    ]);
    let video = json!([{ "name": "video", "role": "cpu",
        "options": [{ "format": "YUYV", "modifier": "LINEAR" }] }]);
    let outcome = session(&format!(
        "cat >/tmp/asks.json <<'END'\n{asks}\nEND
        cat >/tmp/video.json <<'END'\n{video}\nEND
        cat >/tmp/script <<'END'
            heapwright-ask --json /tmp/asks.json >$LAB_OUT/asks.json; echo $? >>$LAB_OUT/codes
            heapwright-ask --json /tmp/video.json >$LAB_OUT/video.json; echo $? >>$LAB_OUT/codes
            kill -TERM $PPID
END
        heapwright session --device $device -- sh /tmp/script"
    ));
    assert_eq!(outcome.text("codes").unwrap_or_default(), "1\n1\n", "{}", outcome.tail());
    let told = report(&outcome, "asks.json");
    let conflict = json!([
        { "participant": "camera", "field": "exact_pitch", "value": "2600" },
        { "participant": "encoder", "field": "pitch_align", "value": "256" }
    ]);
    assert_eq!(told["conflict"], conflict, "{told}");
    // Our own side is named too: this renderer reads no packed YUV.
    let told = report(&outcome, "video.json");
    let whose = |it: &Value| it["participant"].as_str().unwrap_or_default().to_owned();
    let whose: Vec<_> = told["conflict"].as_array().into_iter().flatten().map(whose).collect();
    assert_eq!(whose, ["(renderer)", "video"], "{told}");
}

#[test]
fn when_contiguous_memory_runs_out_the_client_is_refused_and_told_when_there_is_some() {
    let frame = 1024 * 768 * 4;
    // A panel that takes contiguous memory only: what it asks of this machine's heaps is real.
    let panel = json!([{ "name": "panel", "role": "cpu", "memory": { "contiguous": true },
        "options": [{ "format": "XR24", "modifier": "LINEAR" }] }]);
    let outcome = guest(
        lab::qemu(),
        &format!(
            "cat >/tmp/panel.json <<'END'\n{panel}\nEND
            export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
            {NODE}
            heapwright session --device $(node bochs-drm) -- \
                sh -c 'echo $WAYLAND_DISPLAY >/tmp/display; exec sleep 1000' &
            session=$!
            until_said /tmp/display
            export WAYLAND_DISPLAY=$(cat /tmp/display)
            ask='heapwright-ask --json --size 1024x768 --count 16 /tmp/panel.json'
            $ask --hold 1000 >$LAB_OUT/first.json &
            first=$!
            until_said $LAB_OUT/first.json
            $ask >$LAB_OUT/refused.json && exit 8
            $ask --wait >$LAB_OUT/second.json 2>/tmp/waiting &
            second=$!
            until_said /tmp/waiting
            kill $first
            wait $second || exit 7
            kill -TERM $session
            wait $session"
        ),
    );
    let told = report(&outcome, "first.json");
    assert_eq!((&told["buffers"]["bytes"], &told["buffers"]["count"]), (&frame.into(), &16.into()), "{told}");
    let told = report(&outcome, "refused.json");
    assert_eq!((&told["status"], &told["reason"]), (&"refused".into(), &"out_of_memory".into()), "{told}");
    let told = report(&outcome, "second.json");
    assert_eq!((&told["waits"], &told["buffers"]["count"]), (&1.into(), &16.into()), "{told}");
}

#[test]
fn who_waits_for_a_late_device_waits_alone_and_shows_nothing_early() {
    let outcome = session(
        "export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >/tmp/display; exec sleep 1000' &
        session=$!
        until_said /tmp/display
        export WAYLAND_DISPLAY=$(cat /tmp/display)
        # Fullscreen, so that a display that waited for the fence would wait with everybody's picture.
        heapwright-paint --negotiate --fullscreen --fence 15000 --patience 100 --still --frames 1 --tell 1 --linger 60 \
            --json >$LAB_OUT/late.json 2>/tmp/late &
        late=$!
        # It has asked for its frame.
        until grep -q negotiated /sys/kernel/debug/dma_buf/bufinfo; do kill -0 $late || exit 8; sleep 0.05; done
        heapwright-paint --frames 20 --json >$LAB_OUT/prompt.json || exit 7
        cp /tmp/late $LAB_OUT/said-meanwhile
        until_said $LAB_OUT/late.json
        crc late
        kill -TERM $session
        wait $session",
    );
    assert_eq!(report(&outcome, "prompt.json")["presented"], 20);
    assert_eq!(outcome.text("said-meanwhile").unwrap_or_default(), "", "shown before its fence");
    let late = report(&outcome, "late.json");
    assert_eq!((&late["presented"], &late["zero_copy"]), (&json!(1), &json!(1)), "{late}");
    let expected = vkms::crc(1024, 768, |x, y| picture::pixel(x, y, 0));
    assert_eq!(vkms::crcs(&outcome.text("late.crc").unwrap_or_default()).last(), Some(&expected));
}

/// The hostile clients again, where there is memory to be had.
#[test]
#[allow(clippy::expect_used, reason = "a test helper")]
fn hostile_clients_get_no_memory_that_stays() {
    let program = lab::test_program("hostile").expect("the tests");
    let (directory, file) = (program.parent().expect("a directory"), program.file_name().expect("a name"));
    let outcome = guest(
        lab::uml().mount(directory, "/run/tests"),
        &format!(
            "export HEAPWRIGHT=$(command -v heapwright)
            /run/tests/{} negotiation:: --nocapture
            code=$?
            held >$LAB_OUT/held
            exit $code",
            file.to_string_lossy()
        ),
    );
    assert!(outcome.output.contains("test result: ok. 4 passed"), "{}", outcome.tail());
    assert_eq!(outcome.text("held").unwrap_or_default().trim(), "0");
}
