//! The wide lane: displays that differ, contiguous memory, and the lane's own answers.

use std::time::Duration;

use heapwright_tests::lab::{self, LabError, Outcome};

#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(script: &str) -> Outcome {
    lab::qemu().timeout(Duration::from_secs(180)).run(script).expect("a guest")
}

#[test]
fn devices_exit_code_output_and_files_are_those_of_the_guest() {
    let outcome = guest(
        "ls /dev/dma_heap
        cut -d' ' -f1 /sys/kernel/debug/dri/[0-9]/name | sort
        test -c /dev/udmabuf || exit 1
        ! touch /usr/a-file 2>/dev/null || exit 2
        lab-shot nothing name 2>&1
        echo left >$LAB_OUT/note
        sleep 1000 & exit 7",
    );
    assert_eq!(outcome.code, 7, "{}", outcome.tail());
    let said: Vec<_> = outcome.output.lines().collect();
    let (heaps, rest) = said.split_at(3);
    assert!(heaps.contains(&"system"), "{heaps:?}");
    assert_eq!(rest, ["bochs-drm", "virtio_gpu", "vkms", "lab-shot: Device 'nothing' not found"]);
    assert_eq!(outcome.text("note").expect("the note"), "left\n");
}

#[test]
fn a_guest_that_hangs_or_dies_is_an_error_of_its_own() {
    let error =
        lab::qemu().timeout(Duration::from_secs(60)).run("busybox poweroff -f").expect_err("no exit code");
    assert!(matches!(error, LabError::Lost { .. }), "{error}");
    let error = lab::qemu().timeout(Duration::from_secs(2)).run("true").expect_err("a time-out");
    assert!(matches!(error, LabError::Timeout { .. }), "{error}");
    let error = lab::qemu().memory("nonsense").run("true").expect_err("no machine");
    assert!(matches!(&error, LabError::Boot { tail } if tail.contains("nonsense")), "{error}");
}
