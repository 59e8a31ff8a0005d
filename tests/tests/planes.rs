//! Planes: what lies on them, one above the other, looks as if it were composed, and so does what comes and goes.

use std::{collections::BTreeSet, time::Duration};

use heapwright_tests::{
    lab::{self, Outcome},
    report::report,
    vkms,
};
use serde_json::Value;

#[path = "../../compositor/examples/heapwright-paint/picture.rs"]
mod picture;
#[allow(dead_code, reason = "only what tells the right picture is used here")]
#[path = "../../compositor/examples/heapwright-video/picture.rs"]
mod video;

/// Pixels of the displays here.
const SCREEN: (u32, u32) = (1024, 768);

/// A session in a guest without displays of its own: scripts make them with `make_vkms`.
#[allow(clippy::expect_used, reason = "a test helper")]
fn guest(script: &str) -> Outcome {
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(150));
    let scenario = scenario.kernel_argument("vkms.create_default_dev=0");
    scenario.run(&format!("{}{HELPERS}{script}", vkms::SHELL)).expect("a guest")
}

/// Shell functions for scenarios here.
const HELPERS: &str = r#"
cd $LAB_OUT
begin() { # DISPLAY OVERLAYS: a session on a new display
    make_vkms $1 $2
    rm -f there
    heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' & session=$!
    until_there
}
end() { kill -TERM $session; wait $session; }
shows() { # COUNT: waits until the last frames show so many surfaces; of them, at least one is on the screen
    frames=2; [ $1 = 0 ] && frames=1
    until heapwright msg frames --last $frames --json >newest &&
        [ $(grep -o '"zero_copy"' newest | wc -l) = $(($1 * frames)) ] && grep -q '"presented_us": [0-9]' newest; do
        kill -0 $session || exit 9
        sleep 0.05
    done
}
crc() { # NAME: as in all scenarios, but a second's worth: on a busy machine vkms is late, and tells old pictures at first
    echo auto >$debug/crtc-0/crc/control
    head -n 64 $debug/crtc-0/crc/data >$LAB_OUT/$1.crc 2>/dev/null
}
stage() { # NAME: proofs of what is on the screen now, and how it came there
    proof $1
    heapwright msg frames --last 1 --json >$1.frames
}
"#;

fn last_crc(outcome: &Outcome, name: &str) -> Option<u32> {
    vkms::crcs(&outcome.text(&format!("{name}.crc")).unwrap_or_default()).last().copied()
}

/// The CRC that is told most often in the last half of what was read, of a screen that is composed again all the time: on a busy
/// machine vkms reads a frame so late that the next is being drawn into the same memory, and tells a picture that never was there.
fn usual_crc(outcome: &Outcome, name: &str) -> Option<u32> {
    let told = vkms::crcs(&outcome.text(&format!("{name}.crc")).unwrap_or_default());
    let (_, last) = told.split_at_checked(told.len() / 2)?;
    let often = |crc: &u32| last.iter().filter(|other| *other == crc).count();
    last.iter().copied().max_by_key(often)
}

/// The surfaces of the only frame that was asked for.
fn surfaces(outcome: &Outcome, stage: &str) -> Vec<Value> {
    let told = report(outcome, &format!("{stage}.frames"));
    told["outputs"][0]["frames"][0]["surfaces"].as_array().cloned().unwrap_or_default()
}

/// The plane of the only surface of a format that is seen; `None` if it is composed.
#[allow(clippy::panic, reason = "a test helper")]
fn plane_of(outcome: &Outcome, stage: &str, format: &str) -> Option<String> {
    let all = surfaces(outcome, stage);
    let of_format: Vec<_> = all.iter().filter(|surface| surface["buffer"]["format"] == format).collect();
    let [surface] = of_format.as_slice() else { panic!("{stage}, {format}: {all:#?}\n{}", outcome.tail()) };
    assert_eq!(surface["zero_copy"].as_bool(), Some(surface["plane"].is_string()), "{stage}: {surface:#}");
    // A picture of luma and chroma is copied twice where it is copied.
    let converted = surface["plane"].is_null() && format == "NV12";
    assert_eq!(surface["converted"].as_bool(), Some(converted), "{stage}: {surface:#}");
    surface["plane"].as_str().map(str::to_owned)
}

/// What the kernel says of a plane that `msg frames` names.
fn kernels_word(outcome: &Outcome, stage: &str, plane: &str) -> String {
    let number = plane.split(' ').next_back().unwrap_or_default();
    let state = outcome.text(&format!("{stage}.state")).unwrap_or_default();
    let mut sections = state.split("plane[");
    sections.find(|section| section.starts_with(&format!("{number}]"))).unwrap_or_default().to_owned()
}

type Place = (u32, u32, u32, u32);

/// A picture at a place: left, top, width, height.
struct Layer {
    place: Place,
    /// ARGB8888, by the pixel's place in the picture.
    pixel: Box<dyn Fn(u32, u32) -> u32>,
}

fn film(place: Place, frame: u32) -> [Layer; 2] {
    film_with_controls(place, frame, 0)
}

/// With the controls as they are after this change of them.
fn film_with_controls((left, top, width, height): Place, frame: u32, change: u32) -> [Layer; 2] {
    let (x, y, wide, high) = video::controls_place((width, height));
    let controls = move |x, y| video::controls(x, y, (wide, high), change);
    let film = move |x, y| video::at(x, y, frame).rgb;
    [
        Layer { place: (left + x, top + y, wide, high), pixel: Box::new(controls) },
        Layer { place: (left, top, width, height), pixel: Box::new(film) },
    ]
}

fn panel(place: Place) -> Layer {
    Layer { place, pixel: Box::new(|x, y| picture::pixel(x, y, 0)) }
}

/// A place in the middle of the screen.
fn middle((width, height): (u32, u32)) -> Place {
    ((SCREEN.0 - width) / 2, (SCREEN.1 - height) / 2, width, height)
}

/// The CRC of a screen that shows these, front to back.
fn screen(layers: impl IntoIterator<Item = Layer>) -> u32 {
    let layers: Vec<Layer> = layers.into_iter().collect();
    vkms::crc(SCREEN.0, SCREEN.1, |x, y| {
        let seen = layers.iter().find_map(|Layer { place: (left, top, width, height), pixel }| {
            let (x, y) = (x.checked_sub(*left)?, y.checked_sub(*top)?);
            let pixel = (x < *width && y < *height).then(|| pixel(x, y))?;
            (pixel >> 24 != 0).then_some(pixel)
        });
        seen.unwrap_or(BACKGROUND)
    })
}

/// The colour of the screen where no window is.
const BACKGROUND: u32 = 0xff19_1c21;

const WHOLE: Place = (0, 0, SCREEN.0, SCREEN.1);

#[test]
fn a_window_on_an_overlay_plane_looks_as_if_it_were_composed() {
    let outcome = guest(
        r#"begin vkms-overlays 2
        show() { # NAME ARGUMENTS: a window that stays, with proofs of what is on the screen
            name=$1; shift
            heapwright-paint --still --frames 30 --linger 60 --json "$@" >$name.json & paint=$!
            until_said $name.json
            proof $name
            heapwright msg frames --last 1 --json >$name.frames
            kill $paint
            wait $paint
            while heapwright msg surfaces | grep -q window; do sleep 0.1; done
        }
        show heap
        proof empty
        show shared --shm
        kill -TERM $session
        wait $session
        mount --bind /dev/null /dev/udmabuf
        rm there
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' & session=$!
        until_there
        show composed --shm
        show again
        kill -TERM $session
        wait $session"#,
    );
    let how = |name: &str| {
        let told = report(&outcome, &format!("{name}.frames"));
        let surface = &told["outputs"][0]["frames"][0]["surfaces"][0];
        (surface["plane"].as_str().map(str::to_owned), surface["zero_copy"].as_bool())
    };
    for name in ["heap", "shared", "again"] {
        let (plane, zero_copy) = how(name);
        assert_eq!(zero_copy, Some(true), "{name}\n{}", outcome.tail());
        // The kernel's own word: the plane of that number shows memory from elsewhere.
        let number = plane.as_deref().and_then(|plane| plane.strip_prefix("overlay ")).unwrap_or_default();
        let state = outcome.text(&format!("{name}.state")).unwrap_or_default();
        let section = state.split("plane[").find(|section| section.starts_with(&format!("{number}]")));
        assert!(section.is_some_and(|plane| plane.contains("imported=yes")), "{plane:?}:\n{state}");
    }
    assert_eq!(how("composed"), (None, Some(false)), "{}", outcome.tail());
    let crc = |name| last_crc(&outcome, name);
    assert!(crc("heap").is_some() && crc("heap") != crc("empty"), "{}", outcome.tail());
    assert_eq!(crc("heap"), crc("composed"), "the same picture on the plane and composed");
    assert_eq!(crc("heap"), crc("shared"), "and of shared memory");
    assert_eq!(crc("heap"), crc("again"), "and on the plane again");
}

#[test]
fn video_and_its_controls_lie_on_planes_as_they_are() {
    let outcome = guest(
        r#"begin vkms-overlays 2
        play() { # NAME ARGUMENTS
            name=$1; shift
            heapwright-video --frames 60 --linger 60 --json "$@" >$name.json & player=$!
            until_said $name.json
            stage $name
            kill $player
            wait $player
            shows 0
        }
        play window --size 640x480 --still
        play whole --fullscreen --still
        play moving --size 640x480 --controls-every 7
        end"#,
    );
    let controls = |name: &str| plane_of(&outcome, name, "AR24");
    let video = |name: &str| plane_of(&outcome, name, "NV12");
    for (name, kind, place) in [("window", "overlay ", middle((640, 480))), ("whole", "primary ", WHOLE)] {
        let told = report(&outcome, &format!("{name}.json"));
        assert_eq!(told["fallback"], Value::Null, "{told:#}");
        assert_eq!((&told["video"]["format"], &told["video"]["presented"]), (&"NV12".into(), &60.into()));
        let since = told["video"]["zero_copy_since"].as_u64().unwrap_or(0);
        assert!((1..=3).contains(&since), "{told:#}");
        let plane = video(name).unwrap_or_default();
        assert!(plane.starts_with(kind), "{name}: {plane:?}\n{}", outcome.tail());
        let word = kernels_word(&outcome, name, &plane);
        for said in [
            "imported=yes",
            "format=NV12",
            "color-encoding=ITU-R BT.709 YCbCr",
            "color-range=YCbCr limited range",
        ] {
            assert!(word.contains(said), "{name}, {said}: {word}");
        }
        let above = controls(name).unwrap_or_default();
        assert!(above.starts_with("overlay ") && above != plane, "{name}: {above:?} above {plane:?}");
        assert!(kernels_word(&outcome, name, &above).contains("imported=yes"), "{name}");
        assert_eq!(last_crc(&outcome, name), Some(screen(film(place, 0))), "{name}: the right picture");
    }
    let told = report(&outcome, "moving.json");
    assert!(told["controls"]["presented"].as_u64() >= Some(8), "{told:#}");
    for part in ["video", "controls"] {
        let part = &told[part];
        assert_eq!(
            (&part["released_early"], &part["zero_copy"]),
            (&0.into(), &part["presented"]),
            "{told:#}"
        );
    }
}

/// Of a frame of which only planes' buffers are new, Smithay is not asked.
#[test]
fn frames_that_are_new_only_on_planes_are_flipped_and_right() {
    let outcome = guest(
        r#"begin vkms-overlays 2
        heapwright-paint --size 300x180 --still --shm --frames 5 --linger 120 >/dev/null & still=$!
        shows 1
        now() { # COUNT: waits until the last frame shows so many surfaces; nobody need draw another
            until heapwright msg frames --last 1 --json >newest &&
                [ $(grep -o '"zero_copy"' newest | wc -l) = $1 ] && grep -q '"presented_us": [0-9]' newest; do
                kill -0 $session || exit 9
                sleep 0.05
            done
        }
        play() { # NAME ARGUMENTS: a film to its end, with controls that change now and then
            name=$1; shift
            heapwright-video --size 640x480 --controls-every 7 --linger 60 --json "$@" >$name.json & player=$!
            until_said $name.json
            # The last picture may still be on its way when the one before it is told.
            sleep 0.5
            heapwright msg frames --last 96 --json >$name.all
            stage $name
        }
        play film --frames 160
        # Something else changes: all is drawn again, over what was flipped.
        heapwright-paint --size 200x100 --still --until stop >panel.out & panel=$!
        shows 4
        sleep 1
        stage panel
        touch stop; wait $panel
        now 3
        stage after
        kill $player; wait $player
        now 1
        heapwright-paint --size 640x480 --buffers 2 --frames 120 --linger 60 --json >two.json & paint=$!
        until_said two.json
        heapwright msg frames --last 96 --json >two.all
        kill $paint; wait $paint
        end"#,
    );
    let flipped = |name: &str| {
        let told = report(&outcome, &format!("{name}.all"));
        let frames = told["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
        let of_film: Vec<_> = frames
            .iter()
            .filter(|frame| {
                frame["surfaces"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|surface| surface["damage_pixels"].as_u64() > Some(0)))
            })
            .collect();
        (of_film.iter().filter(|frame| frame["flipped"] == true).count(), of_film.len())
    };
    for name in ["film", "two"] {
        let (flipped, all) = flipped(name);
        assert!(all > 60 && flipped * 10 > all * 9, "{name}: {flipped} of {all}\n{}", outcome.tail());
    }
    let told = report(&outcome, "film.json");
    for part in ["video", "controls"] {
        let part = &told[part];
        assert_eq!(part["released_early"], 0, "{told:#}");
        assert_eq!(part["zero_copy"], part["presented"], "{told:#}");
    }
    let two = report(&outcome, "two.json");
    assert_eq!((&two["presented"], &two["released_early"]), (&120.into(), &0.into()), "{two:#}");
    let frame = told["video"]["committed"].as_u64().unwrap_or_default() as u32 - 1;
    let film = || film_with_controls((0, 0, 640, 480), frame, frame / 7);
    let still = || panel(middle((300, 180)));
    let whole = screen(film().into_iter().chain([still()]));
    for stage in ["film", "after"] {
        assert_eq!(last_crc(&outcome, stage), Some(whole), "{stage}\n{}", outcome.tail());
    }
    assert_ne!(last_crc(&outcome, "panel"), Some(whole), "{}", outcome.tail());
}

/// The controls are shown with a commit of their window, which is not on a plane and has nothing new itself.
#[test]
fn what_comes_with_its_parents_commit_is_drawn_while_others_are_flipped() {
    let outcome = guest(
        r#"begin vkms-overlays 2
        heapwright-video --size 400x300 --paused --controls-every 5 --until stop --linger 60 --json >paused.json & player=$!
        shows 2
        heapwright-paint --size 200x100 --still --until stop1 >/dev/null & first=$!
        shows 3
        heapwright-paint --size 200x100 --still --until stop1 >/dev/null & second=$!
        shows 4
        # All others wait until the two have been on planes for a while.
        until [ $(heapwright msg frames --last 10 --json | grep -c '"flipped": true') -ge 7 ]; do
            kill -0 $session || exit 9
            sleep 0.1
        done
        sleep 1
        touch stop
        until_said paused.json
        sleep 0.5
        heapwright msg frames --last 96 --json >paused.all
        stage paused
        touch stop1; wait $first $second
        kill $player; wait $player
        end"#,
    );
    let all = report(&outcome, "paused.all");
    let frames = all["outputs"][0]["frames"].as_array().cloned().unwrap_or_default();
    // A frame that is drawn for another reason would draw it, too.
    let flipped = frames.iter().rev().take_while(|frame| frame["flipped"] == true).count();
    assert!(flipped > 5, "{flipped} of {}\n{}", frames.len(), outcome.tail());
    assert_eq!(plane_of(&outcome, "paused", "NV12"), None, "{}", outcome.tail());
    let told = report(&outcome, "paused.json");
    let last = told["video"]["committed"].as_u64().unwrap_or_default() as u32 - 1;
    assert!(last > 30, "{told:#}");
    let paused = film_with_controls(middle((400, 300)), 0, last / 5);
    let corners = [(0, 0, 200, 100), (SCREEN.0 - 200, 0, 200, 100)].map(panel);
    let whole = screen(corners.into_iter().chain(paused));
    assert_eq!(last_crc(&outcome, "paused"), Some(whole), "{told:#}\n{}", outcome.tail());
}

#[test]
fn video_without_a_plane_is_composed_to_the_same_picture_of_now() {
    let outcome = guest(
        r#"begin vkms-bare 0
        play() { # NAME ARGUMENTS
            name=$1; shift
            heapwright-video --fullscreen --linger 60 --json "$@" >$name.json & player=$!
            until_said $name.json
            # The last picture may still be on its way when the one before it is told.
            sleep 0.5
            stage $name
            kill $player
            wait $player
            shows 0
        }
        play still --still --frames 30
        play moving --frames 30
        play shared --shm --still --frames 30
        end"#,
    );
    for name in ["still", "moving", "shared"] {
        let told = report(&outcome, &format!("{name}.json"));
        let format = told["video"]["format"].as_str().unwrap_or_default();
        assert_eq!(format, if name == "shared" { "XR24" } else { "NV12" }, "{told:#}");
        assert_eq!(told["fallback"].as_str(), (name == "shared").then_some("asked for with --shm"));
        assert_eq!(plane_of(&outcome, name, format), None, "{name}\n{}", outcome.tail());
        assert_eq!(told["video"]["zero_copy"], 0, "{told:#}");
        let committed = told["video"]["committed"].as_u64().unwrap_or_default() as u32;
        let frame = if name == "moving" { committed - 1 } else { 0 };
        assert_eq!(last_crc(&outcome, name), Some(screen(film(WHOLE, frame))), "{name}\n{}", outcome.tail());
    }
}

/// What comes above a fullscreen video, and goes again.
const COMING_AND_GOING: &str = r#"
    heapwright-video --fullscreen --still --until stop --json >video.json & player=$!
    shows 2
    stage alone
    heapwright-paint --size 320x200 --still --until stop1 >panel & panel=$!
    shows 3
    # A client is given a plane when it has shown its buffers.
    sleep 1
    stage panel
    heapwright-paint --size 300x180 --still --until stop2 >other & other=$!
    shows 4
    sleep 1
    stage crowded
    touch stop2; wait $other
    shows 3
    stage fewer
    touch stop1; wait $panel
    shows 2
    stage after
    touch stop; wait $player
    shows 0
    stage empty
    end"#;

#[test]
fn what_opens_above_a_video_and_closes_leaves_the_right_picture_each_time() {
    let outcome = guest(&format!("begin vkms-overlays 2{COMING_AND_GOING}"));
    let composed = guest(&format!("begin vkms-bare 0{COMING_AND_GOING}"));
    let above = || panel(middle((320, 200)));
    let film = || film(WHOLE, 0);
    for (stage, wanted) in [
        ("alone", screen(film())),
        ("panel", screen([above()].into_iter().chain(film()))),
        ("fewer", screen([above()].into_iter().chain(film()))),
        ("after", screen(film())),
        ("empty", screen([])),
    ] {
        assert_eq!(usual_crc(&composed, stage), Some(wanted), "{stage}, composed\n{}", composed.tail());
        assert_eq!(last_crc(&outcome, stage), Some(wanted), "{stage}\n{}", outcome.tail());
    }
    assert_eq!(usual_crc(&outcome, "crowded"), usual_crc(&composed, "crowded"), "{}", outcome.tail());
    for stage in ["alone", "after"] {
        let video = plane_of(&outcome, stage, "NV12");
        assert!(video.is_some_and(|plane| plane.starts_with("primary ")), "{stage}\n{}", outcome.tail());
        assert!(plane_of(&outcome, stage, "AR24").is_some(), "{stage}\n{}", outcome.tail());
    }
    // Two windows and the controls are more than there are overlay planes.
    assert_eq!(plane_of(&outcome, "crowded", "NV12"), None, "{}", outcome.tail());
    assert_eq!(plane_of(&composed, "alone", "NV12"), None, "{}", composed.tail());
}

/// vkms says that a frame is shown before it has read it; on a busy machine it comes to that seconds later, when we have long
/// drawn into the same memory again, as we may. So what is composed here is always the same, and opaque: drawn again, no pixel
/// changes.
#[test]
fn no_frame_between_planes_and_composition_shows_a_wrong_picture() {
    let outcome = guest(
        r#"begin vkms-overlays 2
        heapwright-video --fullscreen --no-controls --still --until stop --json >video.json & player=$!
        shows 1
        stage alone
        cat $debug/crtc-0/crc/data >flapping.crc 2>/dev/null & watcher=$!
        for round in 1 2 3; do
            rm -f stop1 stop2
            heapwright-paint --size 320x200 --still --until stop1 >first & first=$!
            shows 2
            heapwright-paint --size 300x180 --still --until stop2 >second & second=$!
            shows 3
            # One too many for the planes.
            heapwright-paint --size 280x160 --still --frames 20 >third & third=$!
            shows 4
            heapwright msg frames --last 1 --json >crowded-$round.frames
            wait $third
            shows 3
            touch stop2; wait $second
            shows 2
            touch stop1; wait $first
            shows 1
        done
        kill $watcher
        stage after
        touch stop; wait $player
        end"#,
    );
    let text = outcome.text("flapping.crc").unwrap_or_default();
    let crcs = vkms::crcs(&text.replace('\0', ""));
    assert!(crcs.len() > 200, "{} pictures\n{}", crcs.len(), outcome.tail());
    let windows = [middle((320, 200)), (0, 0, 300, 180), (SCREEN.0 - 280, 0, 280, 160)];
    let with = |count: usize| {
        let windows = windows.iter().take(count).rev().copied().map(panel);
        screen(windows.chain(film(WHOLE, 0).into_iter().skip(1)))
    };
    let right = BTreeSet::from([with(0), with(1), with(2), with(3)]);
    let seen: BTreeSet<u32> = crcs.iter().copied().collect();
    assert_eq!(seen, right, "of {} pictures\n{}", crcs.len(), outcome.tail());
    for round in 1..=3 {
        let stage = format!("crowded-{round}");
        assert_eq!(plane_of(&outcome, &stage, "NV12"), None, "{stage}\n{}", outcome.tail());
    }
    for stage in ["alone", "after"] {
        assert!(plane_of(&outcome, stage, "NV12").is_some(), "{stage}\n{}", outcome.tail());
    }
}
