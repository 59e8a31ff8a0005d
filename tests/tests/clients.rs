//! Real clients in a session on a real display: each gets its picture to the screen and ends without a word of protest.

use std::time::Duration;

use heapwright_tests::{lab, vkms};

/// Clients, as shell words.
const CLIENTS: [&str; 7] = [
    "weston-simple-shm",
    "weston-simple-damage",
    "weston-presentation-shm",
    "weston-scaler",
    "foot",
    "gtk4-widget-factory",
    "weston-simple-egl",
];

#[test]
fn every_client_gets_its_picture_to_the_screen() {
    let script = format!(
        r#"
        card=$(for d in /sys/class/drm/card[0-9]; do readlink -f $d/device | grep -q vkms && basename $d; done | head -1)
        debug=/sys/kernel/debug/dri/${{card#card}}
        export LIBGL_ALWAYS_SOFTWARE=1
        crc() {{ echo auto >$debug/crtc-0/crc/control; head -n 3 $debug/crtc-0/crc/data 2>/dev/null | tail -n 1 | cut -d' ' -f2; }}
        session() {{ # CLIENT: its session runs in the background
            # The last session's log would answer for this one.
            rm -f /tmp/log
            heapwright session --device /dev/dri/$card -- "$@" >/tmp/log 2>&1 &
            session=$!
            until grep -q 'frames of the primary plane' /tmp/log 2>/dev/null; do
                kill -0 $session || {{ cat /tmp/log; return 1; }}
                sleep 0.05
            done
        }}
        session sleep 1000 || exit 1
        until empty=$(crc) && [ -n "$empty" ]; do sleep 0.1; done
        kill -TERM $session; wait $session
        for client in {clients}; do
            session $client || continue
            now=$empty
            while kill -0 $session 2>/dev/null && [ "$now" = "$empty" ]; do
                sleep 0.2
                now=$(crc)
                # The display says nothing while its mode is being set.
                now=${{now:-$empty}}
            done
            [ "$now" = "$empty" ] || echo "shown $client"
            kill -TERM $session; wait $session
            echo "code $? $client"
            grep -i -E 'panic|protocol error' /tmp/log && echo "protest $client"
        done
        # Who knows version 6 of linux-dmabuf gets on with it.
        heapwright session --device /dev/dri/$card --linux-dmabuf 6 --exit-with-last-client -- \
            sh -c 'WAYLAND_DEBUG=client heapwright-paint --frames 5 >/dev/null 2>/tmp/wire' >/tmp/log 2>&1
        grep -o 'zwp_linux_dmabuf_v1")*, [0-9]*' /tmp/wire | sed 's/.* /offered /'
        true"#,
        clients = CLIENTS.join(" ")
    );
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(240));
    let outcome = scenario.run(&script).expect("a guest");
    for client in CLIENTS {
        assert!(outcome.output.contains(&format!("shown {client}\n")), "{client}\n{}", outcome.tail());
        assert!(outcome.output.contains(&format!("code 0 {client}\n")), "{client}\n{}", outcome.tail());
        assert!(!outcome.output.contains(&format!("protest {client}\n")), "{client}\n{}", outcome.tail());
    }
    assert!(outcome.output.contains("offered 6"), "{}", outcome.tail());
}

/// Players that draw with the CPU, as shell words.
const PLAYERS: [&str; 2] = [
    "mpv --no-config --vo=wlshm --loop=inf av://lavfi:testsrc=size=640x480:rate=30",
    "gst-launch-1.0 videotestsrc ! video/x-raw,width=640,height=480,format=BGRx ! waylandsink",
];

#[test]
fn what_players_draw_with_the_cpu_reaches_an_overlay_plane_without_a_copy() {
    let players: String = PLAYERS.map(|player| format!("play {player} || exit 8\n")).concat();
    let script = format!(
        r#"{shell}
        make_vkms vkms-players 1
        cd $LAB_OUT
        heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' & session=$!
        until_there
        on_plane() {{ heapwright msg frames --last 1 | grep -q '640x480 .* in wl_shm, .*: zero-copy on overlay '; }}
        play() {{
            "$@" >log 2>&1 & player=$!
            until on_plane; do kill -0 $player || {{ cat log; return 1; }}; sleep 0.2; done
            # Each of its buffers has been shown before.
            sleep 2
            heapwright msg frames --last 20 | grep '640x480 ' | sed 's/.* pixels new: /how: /'
            echo "played $1"
            kill $player; wait $player
            true
        }}
        {players}
        kill -TERM $session
        wait $session"#,
        shell = vkms::SHELL
    );
    let scenario = lab::uml().with_workspace().expect("built programs").timeout(Duration::from_secs(150));
    let outcome = scenario.kernel_argument("vkms.create_default_dev=0").run(&script).expect("a guest");
    for player in ["mpv", "gst-launch-1.0"] {
        assert!(outcome.output.contains(&format!("played {player}\n")), "{}", outcome.tail());
    }
    let how: Vec<_> = outcome.output.lines().filter_map(|line| line.strip_prefix("how: ")).collect();
    assert!(how.len() >= 20 * PLAYERS.len() - 4, "{}", outcome.tail());
    assert!(how.iter().all(|how| how.starts_with("zero-copy on overlay ")), "{}", outcome.tail());
}
