//! The board in use: contiguous memory runs out and comes back, and after much use nothing of it is missing.
//!
//! Built with the feature `board` only, as `lab_board`.

use std::time::Duration;

use heapwright_tests::{
    displays,
    endurance::{self, Held},
    lab::{self, Outcome},
    photograph::Photograph,
    report::report,
    vkms,
};
use serde_json::json;

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

/// Shell: a session, and waiting for what becomes of a client. At this size no buffer of the system heap, which hands out
/// pieces of 1 MiB, is in one piece by luck.
const SESSION: &str = r#"
cd $LAB_OUT
export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
heapwright session --device $(node pl111) --mode 800x600 -- sh -c 'echo $WAYLAND_DISPLAY >there' 2>session.log & session=$!
until_there
until_told() { # PID TEXT: waits until the newest frame has such a line of the client's surface
    until heapwright msg frames --last 1 | grep " $1\." | grep -q "$2"; do kill -0 $1 || exit 8; sleep 0.1; done
}
"#;

/// What comes of a session with such clients, and what it said.
#[allow(clippy::expect_used, reason = "a test helper")]
fn run(clients: &str) -> (Outcome, String) {
    let script = format!("{}{}{SESSION}{clients}", vkms::SHELL, displays::SHELL);
    let board = lab::board().with_workspace().expect("built programs").timeout(Duration::from_secs(300));
    let outcome = board.run(&script).expect("a guest");
    let log = outcome.text("session.log").unwrap_or_default();
    assert_eq!(outcome.code, 0, "{}\n{log}", outcome.tail());
    (outcome, log)
}

#[test]
#[allow(clippy::expect_used, clippy::panic, reason = "a test's")]
fn when_the_pool_is_nearly_full_the_picture_is_composed_which_is_said_and_shown_without_a_copy_again_later() {
    let (outcome, log) = run("
        paint='heapwright-paint --negotiate --fullscreen --still --tell 1'
        $paint --stay 600 2>first.told >first.out & first=$!
        until_told $first 'zero-copy on primary'
        # Room for less than one picture.
        hog --leave 1024 /dev/dma_heap/default_cma_region >held & hog=$!
        until_said held
        # What has memory keeps it.
        heapwright msg frames --last 1 --json >first.json
        $paint --until enough --json 2>second.told >second.json & second=$!
        until_told $second 'was short'
        heapwright msg frames --last 1 --json >short.json
        lab-shot pl111 short || exit 7
        kill $hog
        until_told $second 'zero-copy on primary'
        lab-shot pl111 again || exit 7
        touch enough
        wait $second || exit 6
        kill $first
        kill -TERM $session
        wait $session");

    let newest = |name: &str| report(&outcome, name)["outputs"][0]["frames"][0].clone();
    assert_eq!(newest("first.json")["surfaces"][0]["zero_copy"], true);
    let short = newest("short.json");
    assert!(short["copied_bytes"].as_u64() >= Some(800 * 600 * 4), "{short:#}");
    let surfaces = short["surfaces"].as_array().cloned().unwrap_or_default();
    let why: Vec<_> =
        surfaces.iter().filter(|it| it["visible"] == true).filter_map(|it| it["why"].as_str()).collect();
    let [why] = why[..] else { panic!("one that is seen, and composed: {short:#}") };
    assert!(why.starts_with("memory that the display reads was short"), "{short:#}");

    let second = report(&outcome, "second.json");
    let of = |index: usize, what: &str| second["answers"][index][what].clone();
    assert_eq!(of(0, "dropped"), json!(["(display)"]), "{second}");
    assert_eq!(of(1, "satisfied"), json!(["(display)", "(renderer)", "paint"]), "{second}");
    assert_eq!(second["changes"], json!(["better"]), "{second}");
    // Once each, although it was tried every second.
    let said = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(said("goes without (display)"), 1, "{log}");
    assert_eq!(said("there is memory again"), 1, "{log}");

    for name in ["short.ppm", "again.ppm"] {
        let photograph = Photograph::parse(&outcome.file(name).expect("a photograph")).expect("a whole PPM");
        assert_eq!(photograph.differing(|x, y| picture::pixel(x, y, 0)), 0, "{name}");
    }
}

#[test]
fn where_there_is_room_for_two_buffers_of_three_there_are_two_and_the_third_comes_with_the_memory() {
    let (outcome, log) = run(
        "
        # Two pictures of 800x600 take 3750 KiB, three 5625.
        hog --leave 5120 /dev/dma_heap/default_cma_region >held & hog=$!
        until_said held
        heapwright-paint --negotiate --fullscreen --still --buffers 3 --tell 1 --until enough --json 2>told >paint.json & paint=$!
        until_told $paint 'zero-copy on primary'
        heapwright msg frames --last 1 --json >short.json
        kill $hog
        until grep -q 'there is memory again' session.log; do kill -0 $paint || exit 8; sleep 0.1; done
        # The frames after that are of the next answer.
        told=$(wc -l <told)
        until [ $(wc -l <told) -gt $((told + 10)) ]; do kill -0 $paint || exit 9; sleep 0.1; done
        until_told $paint 'zero-copy on primary'
        touch enough
        wait $paint || exit 6
        kill -TERM $session
        wait $session",
    );

    let frame = report(&outcome, "short.json")["outputs"][0]["frames"][0].clone();
    assert_eq!(
        (&frame["surfaces"][0]["zero_copy"], &frame["copied_bytes"]),
        (&json!(true), &json!(0)),
        "{frame:#}"
    );
    let paint = report(&outcome, "paint.json");
    let answers = paint["answers"].as_array().cloned().unwrap_or_default();
    let shown = answers.iter().filter(|it| it["satisfied"].to_string().contains("(display)"));
    assert_eq!(shown.map(|it| it["buffers"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3)], "{paint}");
    assert!(answers.iter().all(|it| it["dropped"] == json!([])), "{paint}");
    let said = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!((said("makes do with 2"), said("there is memory again")), (1, 1), "{log}");
}

/// A minute of what `endure` does for hours.
#[test]
#[allow(clippy::expect_used, clippy::panic, reason = "a test's")]
fn windows_that_open_resize_close_and_crash_leave_not_a_page_of_contiguous_memory() {
    const ACTIONS: u64 = 30;
    let board = endurance::board(ACTIONS).with_workspace().expect("built programs");
    let outcome = board.run(&endurance::script(ACTIONS)).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    let held: Vec<_> = outcome.output.lines().filter_map(Held::parse).collect();
    let (first, last) = (held.first().expect("a beginning"), held.last().expect("an end"));
    assert!(last.actions >= ACTIONS, "{held:#?}");
    // Both frames of the output, and nothing else.
    assert_eq!((first.free_pages, first.dma_bufs), (16320 - 2 * 768, 2), "{held:#?}");
    assert_eq!(last.left_since(first), Vec::<String>::new(), "{held:#?}");
}
