//! `heapwright explain` where there are cameras and codecs.

use heapwright_tests::lab;
use serde_json::Value;

#[test]
#[allow(clippy::expect_used, reason = "a test helper")]
fn cameras_and_codecs_are_listed_and_those_named_are_parties_to_the_answer() {
    let outcome = lab::uml()
        .with_workspace()
        .expect("the programs are built")
        .kernel_argument("vivid.multiplanar=2")
        .run(
            "cd $LAB_OUT
            camera=$(basename $(dirname $(grep -lx vivid-000-vid-cap /sys/class/video4linux/*/name)))
            echo $camera >camera
            ask='heapwright explain --fresh --surface 640x360'
            $ask --json >without && $ask --with $camera --json >with && $ask --with /dev/$camera --color never >text &&
            $ask --with $camera --html page.html && $ask --with $camera --look-only --json >looked || exit 1
            heapwright explain --with $camera --surface 642x362 --json >odd; echo $? >odd-code
            $ask --with video99 --json >nobody; echo $? >nobody-code; true",
        )
        .expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    let text = |name| outcome.text(name).expect("an answer");
    let json = |name| serde_json::from_str::<Value>(&text(name)).expect("JSON");
    let camera = text("camera").trim().to_owned();
    let of = |told: &Value| {
        let all = told["videos"].as_array().expect("nodes");
        all.iter().find(|it| it["name"] == *camera).expect("the camera").clone()
    };

    let (without, with) = (json("without"), json("with"));
    let roles: Vec<_> =
        without["videos"].as_array().expect("nodes").iter().map(|it| it["role"].clone()).collect();
    for role in ["capture", "decode", "encode"] {
        assert!(roles.contains(&role.into()), "{roles:?}");
    }
    let said = of(&without);
    assert_eq!((&said["imports"], &said["takes_scattered"]), (&true.into(), &Value::Null), "{said:#}");
    let apart = |it: &Value| it["format"] == "NM12" && it["why"] == "each plane is a buffer of its own";
    assert!(said["left_out"].as_array().is_some_and(|all| all.iter().any(apart)), "{said:#}");
    let linked = |told: &Value| {
        told["links"].as_array().is_some_and(|all| all.iter().any(|it| it["device"] == *camera))
    };
    assert!(!linked(&without));

    let said = of(&with);
    assert_eq!((&said["takes_part"], &said["takes_scattered"]), (&true.into(), &true.into()), "{said:#}");
    let answer = &with["answers"][0]["answer"];
    assert_eq!(answer["status"], "solved", "{answer:#}");
    let satisfied = answer["satisfied"].as_array().expect("parties");
    assert!(
        satisfied.contains(&camera.as_str().into()) && satisfied.contains(&"display".into()),
        "{answer:#}"
    );
    // The camera writes the buffer, so no client paints it.
    assert!(!satisfied.contains(&"client".into()), "{answer:#}");
    let cell = with["links"].as_array().expect("links").iter().find(|it| {
        it["device"] == *camera && it["heap"].as_str().is_some_and(|heap| heap.starts_with("dma-heap:"))
    });
    let cell = cell.expect("the camera and the heap");
    assert_eq!((&cell["verdict"], &cell["evidence"]), (&"accepts".into(), &"probed".into()), "{cell:#}");
    for told in [text("text"), text("page.html")] {
        assert!(told.contains("Cameras and codecs") && told.contains("capture, takes part"), "{told}");
        assert!(told.contains("left out, each plane is a buffer of its own: "), "{told}");
    }
    let looked = json("looked");
    assert!(!linked(&looked) && of(&looked)["takes_scattered"] == Value::Null, "{looked:#}");

    // A size that the camera does not have, and a camera that is not there.
    let odd = of(&json("odd"));
    let why = |it: &Value| it["why"].as_str().is_some_and(|why| why.starts_with("would be "));
    assert!(odd["left_out"].as_array().is_some_and(|all| all.iter().any(why)), "{odd:#}");
    assert_eq!((text("odd-code").trim(), text("nobody-code").trim()), ("1", "1"));
    assert!(text("nobody").contains("no camera or codec that can be opened is called video99"));
}
