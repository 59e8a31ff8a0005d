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

#[test]
fn what_a_script_leaves_running_does_not_keep_the_guest_up() {
    let outcome = lab::uml()
        .timeout(Duration::from_secs(60))
        .env("GREETING", "it's $1")
        .run("sleep 1000 & echo \"$GREETING\"; exit 3")
        .expect("a guest");
    assert_eq!((outcome.code, outcome.output.as_str()), (3, "it's $1\n"));
}

#[test]
fn processor_time_is_told_apart_by_process() {
    // Two of the same program, so that only their memory tells them apart.
    let outcome = guest(
        "sh -c 'while [ ! -e /tmp/go ]; do sleep 0.05; done; while :; do :; done' & busy=$!
        sh -c 'sleep 1000; :' & idle=$!
        echo $busy $idle >$LAB_OUT/pids
        lab-mark start
        touch /tmp/go
        sleep 2
        lab-mark end
        kill $busy $idle",
    );
    assert_eq!((outcome.code, outcome.output.as_str()), (0, ""), "{}", outcome.tail());
    let between = outcome.between("start", "end").expect("both marks");
    let pids = outcome.text("pids").expect("two processes");
    let [busy, idle] = pids
        .split_whitespace()
        .map(|pid| {
            let found = between.processes.iter().find(|process| process.pid.to_string() == pid);
            found.unwrap_or_else(|| panic!("process {pid} is not in {between:#?}")).used
        })
        .collect::<Vec<_>>()[..]
    else {
        panic!("two numbers: {pids}")
    };
    // A busy machine may give the guest only a part of a processor.
    assert!(busy.run > between.wall / 8, "{between:#?}");
    assert!(busy.run <= between.wall, "{between:#?}");
    assert!(idle.run < busy.run / 10, "{between:#?}");
    assert!(between.of("sh").is_some_and(|all| all.run >= busy.run), "{between:#?}");
    assert!(outcome.between("start", "never").is_err());
}
