//! Who is measured showing what, and the guest's script that starts each and marks its steady state.

use std::fmt;

use heapwright_tests::{displays, vkms};

/// Seconds between the client's first word and the measured window.
const WARM_UP: u64 = 2;
/// Frames between two words of the client: a second of the slowest.
const TELL: u64 = 10;

/// Size of the screen.
#[derive(Debug, Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// The mode that vkms prefers.
    #[value(name = "1024x768")]
    Small,
    /// Full HD.
    #[value(name = "1920x1080")]
    Large,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Size::Small => "1024x768",
            Size::Large => "1920x1080",
        })
    }
}

/// What is shown.
#[derive(Debug, Copy, Clone, PartialEq, Eq, clap::ValueEnum)]
pub enum Scene {
    /// A fullscreen client with buffers from a kernel heap, through linux-dmabuf, that only commits.
    Heap,
    /// A fullscreen client with shared memory that only commits.
    Shm,
    /// A window with a moving video, its controls on a subsurface above, on an empty desktop.
    Video,
    /// Twenty small windows of shared memory, of which one moves.
    Windows,
    /// A fullscreen client that only commits, in buffers that it negotiated for.
    Negotiated,
}

impl Scene {
    /// Those that are shown on a virtual display.
    pub const VIRTUAL: [Scene; 4] = [Scene::Heap, Scene::Shm, Scene::Video, Scene::Windows];
    /// Those that are shown on the board: no copy, and a copy.
    pub const BOARD: [Scene; 2] = [Scene::Negotiated, Scene::Shm];
    /// All of them.
    const ALL: [Scene; 5] = [Scene::Heap, Scene::Shm, Scene::Video, Scene::Windows, Scene::Negotiated];

    /// In names of files.
    pub fn name(self) -> &'static str {
        match self {
            Scene::Heap => "heap",
            Scene::Shm => "shm",
            Scene::Video => "video",
            Scene::Windows => "windows",
            Scene::Negotiated => "negotiated",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Scene::Heap => "fullscreen client, heap buffers",
            Scene::Shm => "fullscreen client, wl_shm",
            Scene::Video => "video in a window of 1280x720, controls on a subsurface",
            Scene::Windows => "20 windows of wl_shm, one of which moves",
            Scene::Negotiated => "fullscreen client, negotiated buffers",
        }
    }

    /// Shell commands of the client: the last is the one that is measured.
    fn client(self, stay: u64) -> String {
        let paint = format!("heapwright-paint --stay {stay} --tell {TELL} --json");
        match self {
            Scene::Heap => format!("{paint} --fullscreen --still"),
            Scene::Shm => format!("{paint} --fullscreen --still --shm"),
            Scene::Negotiated => format!("{paint} --fullscreen --still --negotiate"),
            Scene::Video => format!("heapwright-video --size 1280x720 --stay {stay} --tell {TELL} --json"),
            // Those that lie below others are never presented, so that nothing tells when all are there.
            Scene::Windows => format!(
                "for still in $(seq 19); do heapwright-paint --shm --size {SMALL} --still --frames 1 --linger 600 \
                 --patience 600 >/dev/null & stills=\"$stills $!\"; done\nsleep 3\n{paint} --shm --size {SMALL} --band"
            ),
        }
    }
}

/// A small window.
const SMALL: &str = "200x150";

/// One that is measured.
#[derive(Debug)]
pub struct Compositor {
    /// In names of files.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What it can be measured with: pixman renderers of others know no linux-dmabuf, and a kiosk no windows.
    scenes: &'static [Scene],
    /// Starts it: `$device` is the display, `$size` the size, `$client` a script that starts the client.
    start: &'static str,
    /// What the client does before it starts, for a compositor that must be told the mode.
    prepare: &'static str,
}

/// Without seat and input devices, as in the guest.
const WLROOTS_MODE: &str = "wlr-randr --output Virtual-1 --mode $size";

/// All that are measured. The first is what the others are compared with.
pub const COMPOSITORS: [Compositor; 9] = [
    Compositor {
        name: "heapwright",
        title: "heapwright",
        scenes: &Scene::ALL,
        start: "heapwright session --device $device --mode $size -- $client",
        prepare: "",
    },
    Compositor {
        name: "weston-pixman",
        title: "weston, pixman",
        scenes: &[Scene::Shm, Scene::Video, Scene::Windows],
        start: "weston --backend=drm --renderer=pixman --drm-device=$card --continue-without-input --shell=$shell \
            --idle-time=0 --config=/tmp/weston.ini",
        prepare: "",
    },
    Compositor {
        name: "weston-gl",
        title: "weston, GL (llvmpipe)",
        scenes: &Scene::VIRTUAL,
        start: "env LD_LIBRARY_PATH=$libdrm weston --backend=drm --renderer=gl --drm-device=$card \
            --continue-without-input --shell=$shell --idle-time=0 --config=/tmp/weston.ini",
        prepare: "",
    },
    Compositor {
        name: "cage-pixman",
        title: "cage, pixman",
        scenes: &[Scene::Shm],
        start: "env WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 WLR_DRM_DEVICES=$device cage -- $client",
        prepare: WLROOTS_MODE,
    },
    Compositor {
        name: "cage-gles",
        title: "cage, GLES (llvmpipe)",
        scenes: &[Scene::Heap, Scene::Shm],
        start: "env LD_LIBRARY_PATH=$libdrm WLR_RENDERER=gles2 WLR_RENDERER_ALLOW_SOFTWARE=1 \
            WLR_LIBINPUT_NO_DEVICES=1 WLR_DRM_DEVICES=$device cage -- $client",
        prepare: WLROOTS_MODE,
    },
    Compositor {
        name: "sway-pixman",
        title: "sway, pixman",
        scenes: &[Scene::Shm, Scene::Video, Scene::Windows],
        start: "env WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 WLR_DRM_DEVICES=$device \
            sway --unsupported-gpu --config /tmp/sway",
        prepare: "",
    },
    Compositor {
        name: "sway-gles",
        title: "sway, GLES (llvmpipe)",
        scenes: &Scene::VIRTUAL,
        start: "env LD_LIBRARY_PATH=$libdrm WLR_RENDERER=gles2 WLR_RENDERER_ALLOW_SOFTWARE=1 \
            WLR_LIBINPUT_NO_DEVICES=1 WLR_DRM_DEVICES=$device sway --unsupported-gpu --config /tmp/sway",
        prepare: "",
    },
    Compositor {
        name: FLIP,
        title: "bare page flips",
        scenes: &[Scene::Heap, Scene::Negotiated],
        start: "$client",
        prepare: "",
    },
    Compositor {
        name: TOLD,
        title: "bare page flips, a client told",
        scenes: &[Scene::Heap],
        start: "$client",
        prepare: "",
    },
];

/// Those that the board's root has.
const ON_BOARD: [&str; 3] = ["heapwright", "weston-pixman", FLIP];

/// The loop that flips pages and does nothing else.
pub const FLIP: &str = "flip";

/// The same, but that a client hears of each flip and has its word: no compositor can do less.
pub const TOLD: &str = "flip-told";

/// One compositor with one scene.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Who.
    pub compositor: &'static Compositor,
    /// What.
    pub scene: Scene,
    /// For which time.
    pub round: u32,
}

impl Run {
    /// All that can be measured of these scenes on a virtual display, the scenes one after the other.
    pub fn all(scenes: &[Scene]) -> Vec<Run> {
        let of = |scene: &Scene| {
            let scene = *scene;
            let able = COMPOSITORS.iter().filter(move |compositor| compositor.scenes.contains(&scene));
            able.map(move |compositor| Run { compositor, scene, round: 0 })
        };
        scenes.iter().flat_map(of).collect()
    }

    /// All that can be measured on the board, everybody once before anybody again.
    pub fn on_board(rounds: u32) -> Vec<Run> {
        let mut all = Run::all(&Scene::BOARD);
        all.retain(|run| ON_BOARD.contains(&run.compositor.name));
        (0..rounds).flat_map(|round| all.iter().map(move |run| Run { round, ..*run })).collect()
    }

    /// Of files and marks.
    pub fn name(self) -> String {
        format!("{}-{}-{}", self.compositor.name, self.scene.name(), self.round)
    }

    /// Whether it is no compositor, and its own client.
    pub fn is_bare(self) -> bool {
        [FLIP, TOLD].contains(&self.compositor.name)
    }

    /// The `path` of the client's report, where there is but one right one.
    pub fn path(self) -> Option<&'static str> {
        match self.scene {
            _ if self.is_bare() => Some("page flips"),
            Scene::Heap => Some("linux-dmabuf"),
            Scene::Negotiated => Some("negotiated"),
            Scene::Shm | Scene::Windows => Some("wl_shm"),
            Scene::Video => None,
        }
    }
}

/// Shell: a virtual display, whose guest's processor times the host takes.
const VIRTUAL: &str = r#"
make_vkms vkms-bench 2
connector=Virtual-1
mark() { # NAME
    lab-mark $1
}
"#;

/// Shell: the board's display, where the guest's kernel counts each process' time: user and system, in hundredths of a
/// second, of all its threads.
const BOARD: &str = r#"
device=$(node pl111)
card=${device##*/}
connector=$(ls /sys/class/drm | sed -n "s,^$card-,,p")
mark() { # NAME
    set -- $1 $(sed 's,.*) ,,' /proc/$pid/stat)
    read now _ </proc/uptime
    echo "@used $1 ${13} ${14} $now"
}
"#;

/// Shell functions.
const PRELUDE: &str = r#"
client=/tmp/client
export device size card libdrm shell
cat >/tmp/weston.ini <<END
[core]
idle-time=0
[shell]
panel-position=none
background-color=0xff202020
animation=none
startup-animation=none
locking=false
[output]
name=$connector
mode=$size
[autolaunch]
path=$client
watch=true
END
cat >/tmp/sway <<END
xwayland disable
output * mode $size
default_border none
for_window [app_id=".*"] floating enable
exec $client
END
cat >/tmp/run <<'END'
echo $$ >/tmp/pid
exec "$@"
END
mkfifo /tmp/tell

uptime_now() {
    read now _ </proc/uptime
}

# What the client tells comes through a pipe, as does the end of the program: "ended CODE".
measure() { # NAME COMMAND...
    name=$1
    shift
    exec 3<>/tmp/tell
    uptime_now
    echo "@started $name $now"
    { sh /tmp/run "$@" >$LAB_OUT/$name.log 2>&1 3>&-; echo "ended $?" >/tmp/tell; } &
    whole=$!
    { sleep $patience; echo "late" >/tmp/tell; } 3>&- &
    watchdog=$!
    begin= begun= due=
    while read word count <&3; do
        case $word in
        presented)
            uptime_now
            now=${now%.*}
            : ${begin:=$((now + warm_up))}
            if [ -z "$begun" ] && [ $now -ge $begin ]; then
                pid=$(cat /tmp/pid)
                begun=$count due=$((now + seconds + 1))
                mark $name-begin && echo "@begun $name $count $pid"
            elif [ -n "$begun" ] && [ -n "$due" ] && [ $now -ge $due ]; then
                due=
                mark $name-end && echo "@done $name $count"
                sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/@resident $name \1/p;s/^RssAnon:[^0-9]*\([0-9]*\) kB/@anonymous $name \1/p" /proc/$pid/status
                # What it says of itself, if it is ours.
                WAYLAND_DISPLAY=$(cat /tmp/socket) heapwright msg frames --last 60 --json >$LAB_OUT/$name.frames 2>/dev/null
            fi;;
        reported)
            # The client is done; weston and cage end with it, a session does not.
            kill $(cat /tmp/pid) 2>/dev/null;;
        late)
            echo "@late $name"
            kill $(cat /tmp/pid) 2>/dev/null
            sleep 2
            kill -KILL $(cat /tmp/pid) 2>/dev/null;;
        ended)
            echo "@ended $name $count"
            break;;
        # What else the client says.
        *) echo "$word $count" >>$LAB_OUT/$name.log;;
        esac
    done
    kill $watchdog 2>/dev/null
    wait $whole
    exec 3<&-
}
"#;

/// The script that measures `runs` on a virtual display one after the other; newer libraries for the GPU's renderers are at
/// `libdrm`.
pub fn script(runs: &[Run], size: Size, seconds: u64, libdrm: &str) -> String {
    let display = format!("libdrm={libdrm}\n{}{VIRTUAL}", vkms::SHELL);
    measured(runs, size, seconds, &display)
}

/// The script that measures `runs` on the board one after the other.
pub fn board_script(runs: &[Run], seconds: u64) -> String {
    measured(runs, Size::Small, seconds, &format!("{}{BOARD}", displays::SHELL))
}

fn measured(runs: &[Run], size: Size, seconds: u64, display: &str) -> String {
    // Two words of a slow client more than the window takes.
    let stay = WARM_UP + seconds + 10;
    let patience = stay + 40;
    let mut script =
        format!("size={size} seconds={seconds} warm_up={WARM_UP} patience={patience}\n{display}{PRELUDE}");
    for run in runs {
        let Compositor { start, prepare, .. } = run.compositor;
        let name = run.name();
        // The bare loop is its own client: what is measured must be the process itself.
        let bare = format!("exec flip --size {size} --stay {stay} --tell {TELL} $device");
        let program = match run.compositor.name {
            FLIP => bare,
            TOLD => format!("{bare} --told"),
            _ => run.scene.client(stay),
        };
        let prepare = if size == Size::Small { "" } else { prepare };
        let shell = if matches!(run.scene, Scene::Video | Scene::Windows) { "desktop" } else { "kiosk" };
        script.push_str(&format!(
            "cat >$client <<'END'\n#!/bin/sh\nunset LD_LIBRARY_PATH\necho $WAYLAND_DISPLAY >/tmp/socket\n{prepare}\n\
             {program} >$LAB_OUT/{name}.json 2>/tmp/tell\nkill $stills\necho reported >/tmp/tell\nEND\n\
             chmod +x $client\nshell={shell}\nmeasure {name} {start}\n"
        ));
    }
    script.push_str("exit 0\n");
    script
}
