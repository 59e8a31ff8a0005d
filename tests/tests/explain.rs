//! `heapwright explain` on a machine with a display, and without the right to see it.

use heapwright_tests::lab::{self, Outcome};
use serde_json::Value;

#[allow(clippy::expect_used, reason = "a test helper")]
fn explain(script: &str) -> Outcome {
    let outcome = lab::uml().with_workspace().expect("the programs are built").run(script).expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    outcome
}

#[allow(clippy::expect_used, clippy::panic, reason = "a test helper")]
fn json(outcome: &Outcome, name: &str) -> Value {
    let text = outcome.text(name).expect("the explanation");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn what_each_display_makes_of_each_heap_is_tried_and_told() {
    let outcome = explain(
        "cd $LAB_OUT
        heapwright explain --surface 1280x720 --json >json &&
        heapwright explain --surface 1280x720 --look-only --json >looked &&
        heapwright explain --surface 1280x720 --color never >text &&
        heapwright explain --surface 1280x720 --html page.html",
    );
    let told = json(&outcome, "json");
    let cells = told["links"].as_array().expect("links");
    let of = |prefix: &str| {
        let found = cells.iter().find(|cell| cell["heap"].as_str().is_some_and(|id| id.starts_with(prefix)));
        found.unwrap_or_else(|| panic!("no link to {prefix} in {cells:#?}"))
    };
    for heap in ["dma-heap:", "udmabuf:", "dumb:"] {
        let cell = of(heap);
        assert_eq!((&cell["verdict"], &cell["evidence"]), (&"accepts".into(), &"probed".into()), "{cell:#}");
        assert!(cell["bytes"].as_u64() >= Some(1280 * 720 * 4) && cell["usable"] == true, "{cell:#}");
    }
    // A display imports dma-bufs only.
    let memfd = of("memfd");
    assert_eq!((&memfd["verdict"], &memfd["usable"]), (&"refuses".into(), &false.into()), "{memfd:#}");
    let answer = &told["answers"][0]["answer"];
    assert_eq!(
        (&answer["status"], &answer["dropped"]),
        (&"solved".into(), &Value::Array(Vec::new())),
        "{answer:#}"
    );
    assert!(answer["reasons"].as_array().is_some_and(|all| !all.is_empty()), "{answer:#}");

    let looked = json(&outcome, "looked");
    let probed = |cell: &Value| cell["evidence"] == "probed";
    assert!(looked["links"].as_array().is_some_and(|all| !all.iter().any(probed)), "{looked:#}");

    let (text, page) =
        (outcome.text("text").unwrap_or_default(), outcome.text("page.html").unwrap_or_default());
    for heap in cells.iter().filter_map(|cell| cell["heap"].as_str()) {
        assert!(text.contains(heap), "{heap} is not in {text}");
        assert!(page.contains(heap), "{heap} is not on the page");
    }
    assert!(!text.contains('\u{1b}'), "no colours were asked for: {text}");
    for from_elsewhere in ["src=", "href=", "url(", "<script"] {
        assert!(!page.contains(from_elsewhere), "the page needs something from elsewhere: {from_elsewhere}");
    }
}

#[test]
fn who_may_see_nothing_is_told_what_would_help() {
    let outcome = explain(
        "chmod 777 $LAB_OUT; setpriv --reuid 1234 --regid 1234 --clear-groups \
            heapwright explain --surface 640x480 --json >$LAB_OUT/json",
    );
    let told = json(&outcome, "json");
    let unseen = told["unseen"].as_array().expect("what is not seen");
    for path in ["/dev/dma_heap/system", "/dev/udmabuf", "/dev/dri/card1"] {
        let why = unseen.iter().find(|it| it["path"] == path).and_then(|it| it["why"].as_str());
        assert!(
            why.is_some_and(|why| why.contains("permission denied") && why.contains("udev rule")),
            "{unseen:#?}"
        );
    }
    let render = unseen.iter().find(|it| it["path"] == "/dev/dri/renderD128");
    let why = render.and_then(|it| it["why"].as_str());
    assert!(
        why.is_some_and(|why| why.contains("permission denied") && why.contains("`render`")),
        "{unseen:#?}"
    );
    assert_eq!(told["answers"][0]["answer"]["heap"], "memfd", "{told:#}");
}

#[test]
fn every_renderer_is_listed_with_what_it_imports_and_the_one_that_is_named_takes_part() {
    let outcome = explain(
        "cd $LAB_OUT
        ask() { heapwright explain --surface 1280x720 --json \"$@\"; }
        ask >usual && ask --renderer software >egl && ask --renderer software:vulkan >vulkan &&
        ask --renderer none >none && ask --look-only >looked || exit
        heapwright explain --surface 20000x64 --json --renderer software:vulkan >wide
        ask --renderer card7 >missing; echo missing $?
        ask --renderer renderD128 >mute; echo mute $?
        VK_DRIVER_FILES=/none ask >undriven || exit
        heapwright explain --color never >text && heapwright explain --html page.html || exit
        for how in '' --look-only '--renderer none'; do
            LD_DEBUG=files heapwright explain $how 2>&1 >/dev/null | grep -c 'file=lib\\(EGL\\|vulkan\\).*dynamically loaded'
        done; true",
    );
    let usual = json(&outcome, "usual");
    let renderer = |told: &Value, name: &str| {
        let all = told["renderers"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name} in {told:#}"))
    };
    let vgem = renderer(&usual, "card0");
    assert_eq!((&vgem["render"], &vgem["software"]), (&"/dev/dri/renderD128".into(), &false.into()));
    assert_eq!((&vgem["apis"][0]["api"], vgem["apis"].as_array().map(Vec::len)), (&"GBM".into(), Some(1)));
    let software = renderer(&usual, "software");
    for (index, name) in ["EGL", "Vulkan"].into_iter().enumerate() {
        let api = &software["apis"][index];
        assert_eq!(api["api"], name, "{software:#}");
        assert!(api["drawn"].as_u64() > Some(0) && api["pairs"].as_u64() > api["drawn"].as_u64(), "{api:#}");
    }

    // vgem takes what heaps make, and was tried with it; it is no display.
    let cells = usual["links"].as_array().cloned().unwrap_or_default();
    let of_vgem: Vec<_> = cells.iter().filter(|cell| cell["device"] == "card0").collect();
    assert_eq!(of_vgem.len(), usual["heaps"].as_array().map_or(0, Vec::len), "{cells:#?}");
    for cell in &of_vgem {
        let takes = if cell["heap"] == "memfd" { ("refuses", false) } else { ("accepts", true) };
        assert_eq!(
            (cell["verdict"].as_str(), cell["usable"].as_bool()),
            (Some(takes.0), Some(takes.1)),
            "{cell:#}"
        );
        let steps = cell["steps"].as_array().cloned().unwrap_or_default();
        assert_eq!(steps.last().map(|step| &step["what"]), Some(&"PRIME import".into()), "{cell:#}");
    }

    // A compositor without a GPU draws with the CPU; else the one that is named takes part, as its API says.
    assert_eq!(usual["renderer"]["name"], "cpu", "{usual:#}");
    for (name, api) in [("egl", "EGL"), ("vulkan", "Vulkan")] {
        let told = json(&outcome, name);
        assert_eq!((&told["renderer"]["name"], &told["renderer"]["api"]), (&"software".into(), &api.into()));
        let answer = &told["answers"][0];
        let participants = answer["problem"]["participants"].as_array().cloned().unwrap_or_default();
        let reads = participants.iter().find(|it| it["name"] == "renderer").expect("a renderer");
        assert_eq!((&reads["device"], &reads["role"]), (&"software".into(), &"sample".into()), "{reads:#}");
        // It imports dma-bufs, and memory that is none is refused for that reason.
        let links = answer["problem"]["links"].as_array().cloned().unwrap_or_default();
        assert!(
            links.iter().any(|it| (&it["device"], &it["heap"], &it["verdict"])
                == (&"software".into(), &"memfd".into(), &"refuses".into())),
            "{links:#?}"
        );
        assert_eq!(answer["answer"]["status"], "solved", "{answer:#}");
        let satisfied = answer["answer"]["satisfied"].as_array().cloned().unwrap_or_default();
        assert!(satisfied.contains(&"renderer".into()), "{answer:#}");
    }
    // What it said of the largest picture holds.
    let wide = &json(&outcome, "wide")["answers"][0]["answer"];
    let against = wide["conflict"].as_array().cloned().unwrap_or_default();
    let limit = |it: &Value| (&it["participant"], &it["field"]) == (&"renderer".into(), &"max_size".into());
    assert!(wide["status"] == "unsatisfiable" && against.iter().any(limit), "{wide:#}");

    let none = json(&outcome, "none");
    let participants = none["answers"][0]["problem"]["participants"].as_array().cloned().unwrap_or_default();
    assert!(participants.iter().all(|it| it["name"] != "renderer"), "{none:#}");
    for told in [&none, &json(&outcome, "looked")] {
        let vgem = renderer(told, "card0");
        assert_eq!((&vgem["asked"], vgem["apis"].as_array().map(Vec::len)), (&false.into(), Some(0)));
    }
    let unseen = |name: &str, words: &str| {
        let told = json(&outcome, name);
        let all = told["unseen"].as_array().cloned().unwrap_or_default();
        let said = all.iter().any(|it| it["why"].as_str().is_some_and(|why| why.contains(words)));
        assert!(said, "{name}: {words} is not in {all:#?}");
    };
    unseen("missing", "no renderer is called card7: name one of card0, software, cpu, none");
    unseen("mute", "renderer card0 does not say what it imports");
    unseen("usual", "/dev/dri/renderD128: no driver says what it imports: install one");
    unseen("undriven", "mesa-vulkan-drivers");
    let lines: Vec<_> = outcome.output.lines().collect();
    assert!(lines.contains(&"missing 1") && lines.contains(&"mute 1"), "{}", outcome.tail());
    // Only who asks loads drivers.
    let loaded: Vec<u32> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    assert!(matches!(loaded[..], [some, 0, 0] if some > 0), "{}", outcome.tail());

    for name in ["text", "page.html"] {
        let text = outcome.text(name).unwrap_or_default();
        for words in ["llvmpipe", "Renderers", "pairs with a modifier", "The CPU reads the buffer below"] {
            assert!(text.contains(words), "{words} is not in {name}: {text}");
        }
    }
}

#[test]
fn a_session_loads_no_driver_that_it_does_not_draw_with() {
    let outcome = explain(
        "cat >app <<'END'
            heapwright-paint --fullscreen --still --frames 30 --linger 60 --json >painted & paint=$!
            until [ -s painted ]; do sleep 0.05; done
            cat /proc/$PPID/maps >$LAB_OUT/maps
            kill $paint
END
        timeout 60 heapwright session --exit-with-last-client -- sh app",
    );
    let maps = outcome.text("maps").unwrap_or_default();
    assert!(maps.contains("/heapwright"), "these are the compositor's: {maps}");
    for library in ["libEGL", "libvulkan", "libLLVM", "libgallium"] {
        assert!(!maps.contains(library), "{library} in {maps}");
    }
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let outcome = explain(
        "cd /tmp
        heapwright explain --surface 0x5; echo size $?
        heapwright explain --format XYZ; echo format $?
        echo '[{\"nome\": 1}]' >p; heapwright explain --participants p; echo participants $?
        heapwright explain --participants none; echo missing $?
        heapwright explain --device card7 --color never; echo device $?
        heapwright explain --surface 9000x9000 --format NV12 --color never | grep -v AR24; echo ok",
    );
    let said = &outcome.output;
    for line in ["size 2", "format 2", "participants 2", "missing 2", "device 1"] {
        assert!(said.lines().any(|it| it == line), "{line} is not in {said}");
    }
    for text in ["unknown field `nome`", "cannot read none", "is called card7", "it is copied every frame"] {
        assert!(said.contains(text), "{text} is not in {said}");
    }
}

#[test]
fn a_running_surface_says_where_it_lies_and_where_else_it_could() {
    let outcome = explain(
        "cd $LAB_OUT
        cat >app <<'END'
            heapwright msg surfaces --json >none
            heapwright explain --running; echo none $?
            heapwright-paint --fullscreen --still --frames 30 --linger 60 --json >paint & direct=$!
            until [ -s paint ]; do sleep 0.05; done
            heapwright msg surfaces --json >direct && heapwright msg surfaces && heapwright explain --running --json >running
            heapwright-paint --shm --still --frames 30 --linger 60 --json >shm & shm=$!
            until [ -s shm ]; do sleep 0.05; done
            heapwright msg surfaces --json >both
            heapwright explain --running; echo both $?
            kill $direct $shm
END
        timeout 60 heapwright session --exit-with-last-client -- sh app
        heapwright msg surfaces; echo gone $?",
    );
    assert_eq!(json(&outcome, "none"), Value::Array(Vec::new()));
    let direct = json(&outcome, "direct");
    let [surface] = direct.as_array().map(Vec::as_slice).unwrap_or_default() else {
        panic!("one surface runs: {direct:#}\n{}", outcome.tail())
    };
    let paint = json(&outcome, "paint");
    assert_eq!(surface["role"], "window");
    let [width, height] = [0, 1].map(|index| surface["buffer"]["size"][index].as_u64().unwrap_or(0));
    assert_eq!(paint["size"], format!("{width}x{height}"), "{surface:#}");
    assert_eq!(surface["buffer"]["format"], paint["format"], "{surface:#} {paint:#}");
    assert_eq!(surface["buffer"]["planes"][0]["pitch"], paint["pitch"], "{surface:#} {paint:#}");
    assert_eq!(
        (surface["shown"][0]["zero_copy"].as_bool(), &surface["shown"][0]["why"]),
        (Some(true), &Value::Null)
    );

    let running = json(&outcome, "running");
    assert_eq!(&running["running"], surface);
    assert_eq!(running["size"], surface["buffer"]["size"]);
    let answer = running["answers"].as_array().and_then(|all| all.iter().find(|it| it["device"].is_string()));
    assert_eq!(answer.map(|it| &it["answer"]["status"]), Some(&"solved".into()), "{running:#}");

    let both = json(&outcome, "both");
    let of = |memory: &str| {
        let all = both.as_array().map(Vec::as_slice).unwrap_or_default();
        let found =
            all.iter().find(|surface| (surface["buffer"]["memory"] == "wl_shm") == (memory == "wl_shm"));
        found.map(|surface| surface["shown"][0]["why"].as_str().unwrap_or("none").to_owned())
    };
    const ALONE: &str = "it is not all that the output shows, and no other plane is free for it";
    assert_eq!(of("wl_shm").as_deref(), Some(ALONE), "{both:#}");
    let why = of("dma-buf").unwrap_or_default();
    assert_eq!(why, "something that is composed lies above it", "{both:#}");
    for line in ["none 2", "both 2", "gone 2"] {
        assert!(outcome.output.lines().any(|it| it == line), "{line} is not in {}", outcome.output);
    }
}

#[test]
fn what_was_found_out_is_not_tried_again_but_for_larger_buffers() {
    let outcome = explain(
        "cd $LAB_OUT
        export XDG_CACHE_HOME=/tmp/cache
        ask() { heapwright explain --json --surface $2 $3 >$1; }
        ask first 640x480 && ask again 640x480 && ask smaller 320x200 && ask larger 800x600 && ask fresh 640x480 --fresh
        truncate -s 100 /tmp/cache/heapwright/links.json && ask broken 640x480 && ask mended 640x480",
    );
    let tried = |name: &str| {
        let told = json(&outcome, name);
        let cells = told["links"].as_array().cloned().unwrap_or_default();
        let of_display = cells.iter().filter(|cell| cell["device"] == "card1");
        let steps = of_display.filter(|cell| cell["evidence"] == "probed").map(|cell| &cell["steps"]);
        let here = steps
            .map(|steps| steps.as_array().is_some_and(|steps| steps.iter().any(|it| it["what"] == "AddFB2")));
        let here: Vec<bool> = here.collect();
        assert_eq!(here.len(), 3, "three heaps make dma-bufs: {told:#}");
        here.into_iter().filter(|here| *here).count()
    };
    let counts = ["first", "again", "smaller", "larger", "fresh", "broken", "mended"].map(tried);
    assert_eq!(counts, [3, 0, 0, 3, 3, 3, 0]);
}

#[test]
fn trying_changes_nothing_on_the_screen() {
    let outcome = explain(
        "cd $LAB_OUT
        cat >app <<'END'
            heapwright-paint --fullscreen --still --frames 30 --linger 60 --json >paint & paint=$!
            until [ -s paint ]; do sleep 0.05; done
            cat /sys/kernel/debug/dri/1/state >before
            heapwright explain --fresh --json >told
            cat /sys/kernel/debug/dri/1/state >after
            kill $paint
END
        timeout 60 heapwright session --exit-with-last-client -- sh app",
    );
    let text = |name| outcome.text(name).unwrap_or_default();
    let showing = |state: &str| state.contains("imported=yes");
    assert!(showing(&text("before")), "{}", outcome.tail());
    assert_eq!(text("before"), text("after"));
    let cells = json(&outcome, "told")["links"].as_array().cloned().unwrap_or_default();
    assert!(cells.iter().any(|cell| cell["evidence"] == "probed"), "{cells:#?}");
}
