//! The board's memory: a display that takes only what is contiguous gets that and nothing that passes by luck, also when
//! there is little of it, or none.
//!
//! Built with the feature `board` only, as `lab_board`. Each test is one boot.

use std::time::Duration;

use heapwright_tests::{
    lab::{self, DeviceTree, Outcome, Scenario},
    photograph::Photograph,
    report::report,
    vkms,
};
use serde_json::Value;

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;

/// Shell functions of all scenarios here.
const SHELL: &str = r#"
export LIBSEAT_BACKEND=noop
AS= # what comes before a command, to run it as another user
cd $LAB_OUT
session_with() { # LOG COMMAND...: starts a session with a client, and waits for its socket
    log=$1; shift
    rm -f /run/there
    $AS heapwright session -- sh -c 'echo $WAYLAND_DISPLAY >/run/there; exec "$@"' sh "$@" 2>$log &
    session=$!
    until [ -s /run/there ]; do kill -0 $session || exit 9; sleep 0.1; done
    export WAYLAND_DISPLAY=$(cat /run/there)
}
until_said() { # FILE: waits for a program to say something; the session's end is the end of waiting
    until [ -s $1 ]; do kill -0 $session || exit 9; sleep 0.1; done
}
paint() { # NAME OPTION...: a session with a client over the whole screen, and what there is to see of it
    name=$1; shift
    session_with $name.log sh -c 'exec heapwright-paint --fullscreen --still --frames 6 --linger 60 --json "$@" >$0.json' \
        $name "$@"
    until_said $name.json
    cat /sys/kernel/debug/dri/0/state >$name.state
    cat /sys/kernel/debug/dma_buf/bufinfo >$name.buffers
    $AS heapwright msg frames --last 1 --json >$name.frames
    lab-shot pl111 $name || exit 8
}
end() { # the session's
    kill -TERM $session
    wait $session || exit 7
}
"#;

fn board() -> Scenario {
    lab::board().timeout(Duration::from_secs(300))
}

#[allow(clippy::expect_used, reason = "a test helper")]
fn run(scenario: Scenario, script: &str) -> Outcome {
    let scenario = scenario.with_workspace().expect("built programs");
    let outcome = scenario.run(&format!("{SHELL}\n{script}")).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

fn text(outcome: &Outcome, name: &str) -> String {
    outcome.text(name).unwrap_or_default()
}

/// What the plane shows, by the kernel's word.
fn plane(outcome: &Outcome, name: &str) -> String {
    vkms::plane(&text(outcome, &format!("{name}.state")), "plane-0").unwrap_or_default().to_owned()
}

/// What became of the client's surface in the last frame.
fn why(outcome: &Outcome, name: &str) -> String {
    let frames = report(outcome, &format!("{name}.frames"));
    frames["outputs"][0]["frames"][0]["surfaces"][0]["why"].as_str().unwrap_or_default().to_owned()
}

/// How many pixels of a photograph of this size are not those that `heapwright-paint` painted first, with each channel's
/// bits of `mask`.
#[allow(clippy::expect_used, reason = "a test helper")]
fn wrong_pixels(outcome: &Outcome, name: &str, size: (u32, u32), mask: u32) -> usize {
    let photograph =
        Photograph::parse(&outcome.file(&format!("{name}.ppm")).expect("a photograph")).expect("a whole PPM");
    assert_eq!((photograph.width, photograph.height), size, "{name}");
    photograph.differing(|x, y| picture::pixel(x, y, 0) & mask)
}

const ALL_BITS: u32 = 0x00ff_ffff;
/// What is left of a colour in RG16.
const RG16_BITS: u32 = 0x00f8_fcf8;

/// Heaps of an explanation with what the display makes of them: names, whether contiguous, the verdict, whether usable.
fn matrix(told: &Value) -> Vec<(String, bool, String, bool)> {
    let list = |what: &str| told[what].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let cell = |heap: &Value| {
        let links = list("links");
        let link = links.iter().find(|link| link["heap"] == heap["id"]).cloned().unwrap_or_default();
        let (contiguous, usable) = (heap["contiguous"] == true, link["usable"] == true);
        (word(&heap["names"][0]), contiguous, word(&link["verdict"]), usable)
    };
    list("heaps").iter().map(cell).collect()
}

#[test]
fn the_answer_is_the_same_on_a_fresh_boot_where_luck_helps_and_after_memory_is_in_pieces() {
    let outcome = run(
        // Little memory is soon in pieces.
        board().memory("384M"),
        r#"
        explained() { # NAME SIZE
            heapwright explain --fresh --surface $2 --json >$1.json
            heapwright explain --surface $2 >$1
        }
        # The system heap's pieces are as large as this picture, so that a buffer of it lies in one.
        explained fresh 512x512
        heapwright explain --fresh --json >mode.json

        paint direct
        end
        paint shm --shm
        end
        # Nothing is known of this display's pitch but what the kernel says of a test.
        mkdir -p /run/config/heapwright
        printf 'version = 1\n[[rule]]\nid = "pl111-packed"\ndisable = true\n' >/run/config/heapwright/quirks.toml
        XDG_CONFIG_HOME=/run/config paint padded --pitch-align 8192
        end

        # Every second page of nearly all there is, held by files that nobody moves: not for contiguous memory, and not to
        # make larger pieces.
        mkdir /run/pieces
        mount -t ramfs none /run/pieces || exit 5
        echo 0 >/proc/sys/vm/compact_unevictable_allowed || exit 5
        echo 3 >/proc/sys/vm/drop_caches
        free=$(awk '/MemFree/ { free = $2 } /CmaFree/ { print int((free - $2) / 1024) - 9 }' /proc/meminfo)
        yes "$(printf %04095d 0)" | head -c ${free}M | split -n r/2 - /run/pieces/half-
        rm /run/pieces/half-aa || exit 5
        # What large pieces are left, somebody else has.
        heapwright headless --size 640x480 -- heapwright-paint --size 1024x768 --buffers 16 --frames 1 \
            --linger 300 --json >held.json &
        session=$!
        until_said held.json
        explained pieces 1024x768
        kill -TERM $session
        wait $session
        paint later
        end"#,
    );
    let (fresh, pieces) = (report(&outcome, "fresh.json"), report(&outcome, "pieces.json"));
    for told in [&fresh, &pieces] {
        for (name, contiguous, verdict, usable) in matrix(told) {
            assert_eq!(usable, contiguous, "{name}: {told:#}");
            assert!(!contiguous || verdict == "accepts", "{name}: {told:#}");
        }
        // Two nodes and the display's own buffers, of memory that is there once.
        let pools = told["pools"].as_array().cloned().unwrap_or_default();
        let pool = pools.iter().find(|pool| pool["id"] == "cma:reserved").cloned().unwrap_or_default();
        assert_eq!(pool["heaps"].as_array().map(Vec::len), Some(3), "{told:#}");
        assert_eq!(pool["capacity"], 64 << 20, "{told:#}");
        let answer = &told["answers"][0]["answer"];
        assert_eq!(answer["status"], "solved", "{answer:#}");
        assert_eq!(answer["pool"], "cma:reserved", "{answer:#}");
        assert_eq!(answer["heap"], fresh["answers"][0]["answer"]["heap"], "{answer:#}");
    }
    let held = report(&outcome, "held.json");
    assert!(held["heap"].as_str().is_some_and(|heap| heap.contains("(system)")), "{held}");
    let system = |told| matrix(told).into_iter().find(|(name, ..)| name == "system").map(|it| it.2);
    assert_eq!(system(&fresh).as_deref(), Some("accepts"), "by luck: {fresh:#}");
    assert_eq!(system(&pieces).as_deref(), Some("refuses"), "{pieces:#}");
    let said = text(&outcome, "fresh");
    assert!(
        said.contains("accepted, but not usable") && said.contains("by luck, the next may not"),
        "{said}"
    );
    assert!(!text(&outcome, "pieces").contains("by luck"));
    assert_eq!(report(&outcome, "mode.json")["size"], serde_json::json!([1024, 768]), "the screen's mode");

    // A client that allocates by itself knows it too.
    for name in ["direct", "later"] {
        let paint = report(&outcome, &format!("{name}.json"));
        let heap = paint["heap"].as_str().unwrap_or_default().to_owned();
        assert!(heap.contains("default_cma_region") || heap.contains("reserved"), "{name}: {paint}");
        let since = paint["zero_copy_since"].as_u64().unwrap_or(0);
        assert!((1..=3).contains(&since), "{name}: {paint}\n{}", text(&outcome, &format!("{name}.log")));
        assert!(plane(&outcome, name).contains("imported=yes"), "{name}");
    }
    // What the compositor has for its own frames.
    for name in ["direct", "shm", "padded", "later"] {
        let buffers = text(&outcome, &format!("{name}.buffers"));
        let own: Vec<_> = buffers.lines().filter(|line| line.ends_with("HDMI-A-1 output")).collect();
        let contiguous = |line: &&&str| line.contains("default_cma_region") || line.contains("reserved");
        assert_eq!((own.len(), own.iter().filter(contiguous).count()), (2, 2), "{name}:\n{buffers}");
        assert_eq!(wrong_pixels(&outcome, name, (1024, 768), ALL_BITS), 0, "{name}");
    }
    // Memory in pieces is known to be of no use before a frame with it was tried.
    assert_eq!(report(&outcome, "shm.json")["zero_copy"], 0);
    assert_eq!(why(&outcome, "shm"), "it lies in wl_shm, which the display cannot read here");
    let log = text(&outcome, "shm.log");
    assert!(log.contains("wl_shm is composed") && log.contains("wants contiguous true"), "{log}");
    // Another pitch passes everything but a test of the frame.
    let padded = report(&outcome, "padded.json");
    assert_eq!((&padded["pitch"], &padded["zero_copy"]), (&8192.into(), &0.into()), "{padded}");
    assert_eq!(why(&outcome, "padded"), "the display refused it in a test of the frame");
}

#[test]
fn with_a_pool_too_small_for_two_frames_the_screen_is_lit_with_less_and_it_is_said_how_much_to_give() {
    let outcome = run(
        board().kernel_argument("cma=2M"),
        "paint small
        heapwright msg output HDMI-A-1 --mode 1024x768 2>larger && exit 6
        # Other frames follow: this is no picture that stands still.
        timeout 60 heapwright-paint --frames 20 --json >moving.json || exit 6
        end
        heapwright session --mode 1024x768 2>strict; echo $? >code",
    );
    let log = text(&outcome, "small.log");
    let lit = plane(&outcome, "small");
    assert!(lit.contains("format=RG16") && lit.contains("size=800x600"), "{lit}\n{log}");
    assert_eq!(wrong_pixels(&outcome, "small", (800, 600), RG16_BITS), 0);
    assert_eq!(report(&outcome, "moving.json")["presented"], 20, "{log}");
    let said: Vec<_> = log.lines().filter(|line| line.contains("for lack of memory")).collect();
    let [said] = said[..] else { panic!("said once: {log}") };
    assert!(said.contains("of 4.0 MiB of contiguous memory") && said.contains("cma=16M"), "{said}");
    assert!(log.lines().count() < 60, "nothing is said for ever: {log}");
    assert!(text(&outcome, "larger").contains("no room for it now"), "{}", text(&outcome, "larger"));
    // A mode that was asked for is had or not.
    assert_eq!(text(&outcome, "code"), "1\n");
    let strict = text(&outcome, "strict");
    assert!(strict.contains("cannot be lit") && strict.contains("cma=16M"), "{strict}");
    assert!(strict.contains("or try --mode 800x600"), "{strict}");
}

#[test]
fn a_screen_that_was_lit_with_less_gets_the_rest_when_there_is_memory_again() {
    let outcome = run(
        board(),
        r#"
        hog --leave 3584 /dev/dma_heap/default_cma_region >held & hog=$!
        until [ -s held ]; do kill -0 $hog || exit 5; sleep 0.1; done
        paint less
        kill $hog
        until grep -q 'there is memory again: more pixels.*XR24' less.log; do kill -0 $session || exit 9; sleep 0.1; done
        for size in 800x600 1024x768; do heapwright msg output HDMI-A-1 --mode $size || exit 6; done
        # A client that comes then has all of it.
        heapwright-paint --fullscreen --still --shm --frames 6 --linger 60 --json >all.json & paint=$!
        until_said all.json
        heapwright msg outputs --json >outputs.json
        cat /sys/kernel/debug/dri/0/state >all.state
        lab-shot pl111 all || exit 8
        kill $paint
        end"#,
    );
    let log = text(&outcome, "less.log");
    let less = plane(&outcome, "less");
    assert!(less.contains("format=RG16") || !less.contains("size=1024x768"), "{less}\n{log}");
    let all = plane(&outcome, "all");
    assert!(all.contains("format=XR24") && all.contains("size=1024x768"), "{all}\n{log}");
    assert_eq!(wrong_pixels(&outcome, "all", (1024, 768), ALL_BITS), 0);
    let told = report(&outcome, "outputs.json");
    assert_eq!(told[0]["mode"]["size"], serde_json::json!([1024, 768]), "{told}");
}

#[test]
fn without_a_pool_or_the_right_to_open_it_the_displays_own_buffers_serve() {
    let outcome = run(
        board().kernel_argument("cma=0"),
        r#"
        heapwright explain --json >open.json
        paint none
        end
        # A user who may use the display and none of the heaps.
        chmod 666 /dev/dri/card0
        chmod 600 /dev/dma_heap/* /dev/udmabuf
        mkdir /run/nobody
        chmod 777 . /run
        rm /run/there
        chown 65534 /run/nobody
        chmod 700 /run/nobody
        export XDG_RUNTIME_DIR=/run/nobody
        AS='setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/run/nobody'
        $AS heapwright explain --json >denied.json
        $AS heapwright explain >denied
        paint forbidden
        end"#,
    );
    for name in ["none", "forbidden"] {
        assert_eq!(wrong_pixels(&outcome, name, (1024, 768), ALL_BITS), 0, "{name}");
    }
    for name in ["open.json", "denied.json"] {
        let told = report(&outcome, name);
        let usable: Vec<_> = matrix(&told).into_iter().filter(|it| it.3).map(|it| it.0).collect();
        assert_eq!(usable, ["dumb buffers of card0"], "{name}: {told:#}");
    }
    let advice = r#"permission denied: give the user access, e.g. with a udev rule `SUBSYSTEM=="dma_heap""#;
    for name in ["denied", "forbidden.log"] {
        let said = text(&outcome, name);
        assert!(said.contains("/dev/dma_heap/system"), "{said}");
        // A log quotes what it says.
        assert!(said.replace('\\', "").contains(advice), "{said}");
    }
}

#[test]
fn a_display_that_is_tied_to_video_memory_is_lit_from_it() {
    let outcome = run(
        board().device_tree(DeviceTree::Untouched),
        "heapwright explain --json >told.json
        paint tied
        end",
    );
    let told = report(&outcome, "told.json");
    let usable: Vec<_> = matrix(&told).into_iter().filter(|it| it.3).map(|it| it.0).collect();
    assert_eq!(usable, ["dumb buffers of card0"], "{told:#}");
    let lit = plane(&outcome, "tied");
    assert!(lit.contains("imported=no"), "{lit}");
    let size = if lit.contains("size=640x480") { (640, 480) } else { (1024, 768) };
    assert_eq!(wrong_pixels(&outcome, "tied", size, ALL_BITS), 0);
    // No client can have that memory.
    assert_eq!(report(&outcome, "tied.json")["zero_copy"], 0);
}
