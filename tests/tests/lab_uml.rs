//! The lab itself: its devices are there, and its answers are those of the guest.

use std::{thread, time::Duration};

use heapwright_tests::lab::{self, LabError, Outcome};

#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(script: &str) -> Outcome {
    lab::uml().run(script).expect("a guest")
}

#[test]
fn the_devices_under_test_are_there() {
    let outcome = guest(
        "set -e
        test -c /dev/dma_heap/system
        test -c /dev/udmabuf
        for card in /sys/class/drm/card[0-9]; do readlink -f $card/device; done | grep vkms
        ls /sys/kernel/debug/dri/*/state
        test -d /sys/kernel/config/vkms",
    );
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
}

#[test]
fn exit_code_output_and_files_come_back() {
    let outcome = guest("echo said; echo left > $LAB_OUT/note; exit 7");
    assert_eq!(outcome.code, 7);
    assert_eq!(outcome.output, "said\n");
    assert_eq!(outcome.text("note").expect("the note"), "left\n");
    assert!(outcome.file("nothing").is_err());
}

#[test]
fn a_guest_that_hangs_is_an_error_of_its_own() {
    let error =
        lab::uml().timeout(Duration::from_secs(3)).run("echo before; sleep 1000").expect_err("a time-out");
    assert!(matches!(&error, LabError::Timeout { tail, .. } if tail.ends_with("before")), "{error}");
}

#[test]
fn a_guest_that_dies_is_an_error_of_its_own() {
    let error = lab::uml().run("busybox poweroff -f").expect_err("no exit code");
    assert!(matches!(error, LabError::Lost { .. }), "{error}");
}

#[test]
fn guests_side_by_side_do_not_meet() {
    let runs = ["a", "b"].map(|name| {
        thread::spawn(move || {
            guest(&format!("touch /tmp/{name} && ls /tmp && ! touch /usr/{name} 2>/dev/null"))
        })
    });
    for (run, name) in runs.into_iter().zip(["a", "b"]) {
        let outcome = run.join().expect("no panic");
        assert_eq!((outcome.code, outcome.output.trim()), (0, name));
    }
}
