//! The board: one display that takes only contiguous memory, one pool of that, and the lane's own answers. What we make of
//! its memory is in `board_memory`.
//!
//! Built with the feature `board` only: what the machine is made of takes a quarter of an hour to build. `tests/run` has
//! these tests when it is there, and says so when it is not.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, LabError, Outcome, Scenario},
    photograph::Photograph,
};

fn board() -> Scenario {
    lab::board().timeout(Duration::from_secs(300))
}

#[allow(clippy::expect_used, reason = "a test helper")]
fn workspace(script: &str) -> Outcome {
    let outcome = board().with_workspace().expect("built programs").run(script).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

#[test]
fn devices_exit_code_output_and_files_are_those_of_the_guest() {
    let outcome = board()
        .run(
            "uname -m
            ls -p /dev/dri | grep -v /
            cut -d' ' -f1 /sys/kernel/debug/dri/0/name
            ls /dev/dma_heap
            grep CmaTotal /proc/meminfo | tr -s ' '
            for node in /dev/input/event*; do
                name=$(cat /sys/class/input/${node##*/}/device/name)
                udevadm info --query property $node | sed -n \"s,^ID_INPUT_\\(KEYBOARD\\|MOUSE\\)=1,$name: \\1,p\"
            done | grep Virtio | sort
            test -c /dev/udmabuf || exit 1
            ! touch /usr/a-file 2>/dev/null || exit 2
            lab-shot nothing name 2>&1
            echo left >$LAB_OUT/note
            sleep 1000 & exit 7",
        )
        .expect("a guest");
    assert_eq!(outcome.code, 7, "{}", outcome.tail());
    let said: Vec<_> = outcome.output.lines().collect();
    let machine = ["armv7l", "card0", "pl111"];
    let memory = ["default_cma_region", "reserved", "system", "CmaTotal: 65536 kB"];
    let input = ["QEMU Virtio Keyboard: KEYBOARD", "QEMU Virtio Tablet: MOUSE"];
    let rest = ["lab-shot: Device 'nothing' not found"];
    assert_eq!(said, [&machine[..], &memory, &input, &rest].concat());
    assert_eq!(outcome.text("note").expect("the note"), "left\n");
}

#[test]
fn a_guest_that_hangs_or_dies_is_an_error_of_its_own() {
    let error = board().run("busybox poweroff -f").expect_err("no exit code");
    assert!(matches!(error, LabError::Lost { .. }), "{error}");
    let error = board().timeout(Duration::from_secs(2)).run("true").expect_err("a time-out");
    assert!(matches!(error, LabError::Timeout { .. }), "{error}");
    let error = board().memory("nonsense").run("true").expect_err("no machine");
    assert!(matches!(&error, LabError::Boot { tail } if tail.contains("nonsense")), "{error}");
}

#[test]
fn what_the_display_shows_from_memory_it_takes_is_on_the_photograph() {
    let outcome = workspace(
        "flip /dev/dri/card0 --stay 20 --tell 3 >$LAB_OUT/flip.json 2>/run/told &
        until [ -s /run/told ]; do kill -0 $! || exit 9; sleep 0.1; done
        lab-shot pl111 grey || exit 8
        wait $!",
    );
    let photograph =
        Photograph::parse(&outcome.file("grey.ppm").expect("a photograph")).expect("a whole PPM");
    assert_eq!((photograph.width, photograph.height), (1024, 768));
    // Each byte of its buffers.
    assert_eq!(photograph.differing(|_, _| 0x0080_8080), 0);
}
