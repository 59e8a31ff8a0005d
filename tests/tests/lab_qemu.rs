//! The wide lane: displays that differ, contiguous memory, and the lane's own answers.

use std::{collections::BTreeSet, time::Duration};

use heapwright_tests::{
    displays,
    lab::{self, LabError, Outcome},
    photograph::Photograph,
    report::report,
    vkms,
};
use serde_json::Value;

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

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

/// A shell function for scenarios with a session.
const WAIT: &str = r#"
until_said() { # FILE: waits for a program to say something; the session's end is the end of waiting
    until [ -s $1 ]; do
        kill -0 $session || exit 9
        sleep 0.1
    done
}
"#;

#[allow(clippy::expect_used, reason = "a test helper")]
fn session(script: &str) -> Outcome {
    let scenario = lab::qemu().with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    let outcome = scenario.run(&format!("{}{WAIT}\n{script}", displays::SHELL)).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

/// How many pixels of a photograph are not those that `heapwright-paint` painted first.
#[allow(clippy::expect_used, reason = "a test helper")]
fn wrong_pixels(outcome: &Outcome, name: &str) -> usize {
    let photograph =
        Photograph::parse(&outcome.file(&format!("{name}.ppm")).expect("a photograph")).expect("a whole PPM");
    assert_eq!((photograph.width, photograph.height), (1024, 768));
    photograph.differing(|x, y| picture::pixel(x, y, 0))
}

#[test]
fn what_a_client_paints_is_on_the_photograph_of_each_display() {
    let outcome = session(
        "for display in bochs-drm:bochs virtio_gpu:virtio; do
            device=$(node ${display%:*})
            name=${display#*:}
            heapwright session --device $device -- heapwright-paint \
                --fullscreen --still --frames 9 --linger 200 --json >$LAB_OUT/$name.json &
            session=$!
            until_said $LAB_OUT/$name.json
            cat /sys/kernel/debug/dri/${device#/dev/dri/card}/state >$LAB_OUT/$name.state
            lab-shot $name $name || exit 8
            kill -TERM $session
            wait $session || exit 7
        done",
    );
    // bochs takes memory of the heaps: the client's own buffer is on the screen.
    let paint = report(&outcome, "bochs.json");
    assert_eq!((&paint["path"], &paint["presented"]), (&"linux-dmabuf".into(), &9.into()), "{paint}");
    assert_eq!(paint["scanout_tranche"], true, "{paint}");
    let since = paint["zero_copy_since"].as_u64().unwrap_or(0);
    assert!((1..=3).contains(&since), "every frame after the first two is zero-copy: {paint}");
    let imported = |name: &str| {
        let state = outcome.text(&format!("{name}.state")).expect("the display's state");
        vkms::plane(&state, "plane-0").unwrap_or_default().contains("imported=yes")
    };
    assert!(imported("bochs"));
    assert_eq!(wrong_pixels(&outcome, "bochs"), 0);
    // virtio-gpu takes none: the picture is composed into its own memory, and nobody claims otherwise.
    let paint = report(&outcome, "virtio.json");
    assert_eq!((&paint["presented"], &paint["zero_copy"]), (&9.into(), &0.into()), "{paint}");
    // Its own dumb buffers would do, but no client can allocate them.
    assert_eq!(paint["scanout_tranche"], false, "{paint}");
    assert!(!imported("virtio"));
    assert_eq!(wrong_pixels(&outcome, "virtio"), 0);
}

#[test]
fn the_machines_keyboard_reaches_the_client() {
    // Until the window has the keyboard, keys go nowhere.
    let outcome = session(
        "cd $LAB_OUT
        heapwright session --device $(node bochs-drm) -- \
            foot sh -c 'until read line && [ \"$line\" = hi ]; do :; done; echo it is \"$line\" >typed; exec sleep 1000' &
        session=$!
        until [ -s typed ]; do
            kill -0 $session || exit 9
            lab-input key:ret key:h key:i key:ret || exit 8
            sleep 0.5
        done
        kill -TERM $session
        wait $session",
    );
    assert_eq!(outcome.text("typed").unwrap_or_default(), "it is hi\n", "{}", outcome.tail());
}

#[test]
fn explain_tells_the_three_displays_and_the_pool_apart() {
    let outcome = session(
        "export XDG_CACHE_HOME=/tmp/cache
        heapwright explain --surface 1024x768 --json >$LAB_OUT/json
        heapwright explain --surface 1024x768 --json >$LAB_OUT/again",
    );
    let told = report(&outcome, "json");
    // Every display with every heap, the other displays' memory too: what was tried once is not tried again.
    let tried = |told: &Value| {
        let cells = told["links"].as_array().cloned().unwrap_or_default();
        let here = |cell: &&Value| {
            cell["steps"].as_array().is_some_and(|all| all.iter().any(|it| it["what"] == "PRIME import"))
        };
        cells.iter().filter(|cell| cell["evidence"] == "probed").filter(here).count()
    };
    assert_eq!((tried(&told), tried(&report(&outcome, "again"))), (21, 0), "{told:#}");
    let list = |what: &str| told[what].as_array().cloned().unwrap_or_default();
    let drivers = list("displays").iter().map(|it| it["driver"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(drivers.into_iter().collect::<Vec<_>>(), ["\"bochs-drm\"", "\"virtio_gpu\"", "\"vkms\""]);

    let contiguous: Vec<_> = list("heaps").into_iter().filter(|heap| heap["contiguous"] == true).collect();
    let [one, two] = &contiguous[..] else { panic!("two contiguous heaps: {told:#}") };
    assert_eq!(one["pool"], two["pool"], "{told:#}");
    let pool = list("pools").into_iter().find(|pool| pool["id"] == one["pool"]).expect("their pool");
    assert_eq!(pool["capacity"], 64 << 20, "counted once: {pool:#}");

    let displays = list("displays");
    for cell in list("links") {
        let display = displays.iter().find(|it| it["name"] == cell["device"]).expect("the link's display");
        let own = format!("dumb buffers of {}", cell["device"].as_str().unwrap_or_default());
        let heap = list("heaps").into_iter().find(|it| it["id"] == cell["heap"]).expect("the link's heap");
        let fits = match (display["driver"].as_str(), heap["id"].as_str()) {
            (_, Some("memfd")) => false,
            (Some("virtio_gpu"), _) => heap["names"][0] == *own,
            _ => true,
        };
        assert_eq!(cell["usable"], fits, "{cell:#}");
        let verdict = if fits { "accepts" } else { "refuses" };
        assert_eq!(cell["verdict"], verdict, "{cell:#}");
    }
    assert_eq!(list("links").len(), displays.len() * list("heaps").len());

    for answer in list("answers") {
        assert_eq!(answer["answer"]["status"], "solved", "{answer:#}");
        assert_eq!(answer["answer"]["dropped"], Value::Array(Vec::new()), "{answer:#}");
    }
    assert_eq!(list("answers").len(), 3);
}
