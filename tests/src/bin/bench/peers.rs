//! Who is measured, and the guest's script that starts each and marks its steady state.

use std::fmt;

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

/// Which buffers the client shows.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Client {
    /// Its own, from a kernel heap, through linux-dmabuf.
    Heap,
    /// Shared memory.
    Shm,
    /// There is no client.
    None,
}

impl Client {
    /// The `path` of the client's report.
    pub fn path(self) -> &'static str {
        match self {
            Client::Heap => "linux-dmabuf",
            Client::Shm => "wl_shm",
            Client::None => "page flips",
        }
    }
}

/// One that is measured.
#[derive(Debug)]
pub struct Peer {
    /// Name of files.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The client's buffers.
    pub client: Client,
    /// Starts it: `$device` is the display, `$size` the size, `$client` a script that starts the client.
    start: &'static str,
    /// What the client does before it starts, for a compositor that must be told the mode.
    prepare: &'static str,
}

/// Without seat and input devices, as in the guest.
const WLROOTS_MODE: &str = "wlr-randr --output Virtual-1 --mode $size";

/// All that are measured. The first is what the others are compared with.
pub const PEERS: [Peer; 7] = [
    Peer {
        name: "heapwright-heap",
        title: "heapwright, heap buffer",
        client: Client::Heap,
        start: "heapwright session --device $device --mode $size -- $client",
        prepare: "",
    },
    Peer {
        name: "heapwright-shm",
        title: "heapwright, wl_shm",
        client: Client::Shm,
        start: "heapwright session --device $device --mode $size -- $client",
        prepare: "",
    },
    Peer {
        name: "weston-pixman-shm",
        title: "weston pixman, wl_shm",
        client: Client::Shm,
        start: "weston --backend=drm --renderer=pixman --drm-device=$card --continue-without-input --shell=kiosk \
            --idle-time=0 --config=/tmp/weston.ini",
        prepare: "",
    },
    Peer {
        name: "cage-pixman-shm",
        title: "cage pixman, wl_shm",
        client: Client::Shm,
        start: "env WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 WLR_DRM_DEVICES=$device cage -- $client",
        prepare: WLROOTS_MODE,
    },
    Peer {
        name: "cage-gles-shm",
        title: "cage GLES, wl_shm",
        client: Client::Shm,
        start: "env WLR_RENDERER=gles2 WLR_RENDERER_ALLOW_SOFTWARE=1 WLR_LIBINPUT_NO_DEVICES=1 \
            WLR_DRM_DEVICES=$device cage -- $client",
        prepare: WLROOTS_MODE,
    },
    Peer {
        name: "cage-gles-heap",
        title: "cage GLES, heap buffer",
        client: Client::Heap,
        start: "env WLR_RENDERER=gles2 WLR_RENDERER_ALLOW_SOFTWARE=1 WLR_LIBINPUT_NO_DEVICES=1 \
            WLR_DRM_DEVICES=$device cage -- $client",
        prepare: WLROOTS_MODE,
    },
    Peer { name: "flip", title: "bare page flips", client: Client::None, start: "$client", prepare: "" },
];

/// Shell functions and the display.
const PRELUDE: &str = r#"
card=$(for d in /sys/class/drm/card[0-9]; do readlink -f $d/device | grep -q vkms && basename $d; done | head -1)
[ -n "$card" ] || { echo "no vkms"; exit 1; }
device=/dev/dri/$card
client=/tmp/client
export device size card
cat >/tmp/weston.ini <<END
[core]
idle-time=0
[output]
name=Virtual-1
mode=$size
[autolaunch]
path=$client
watch=true
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
                lab-mark $name-begin && echo "@begun $name $count $pid"
            elif [ -n "$begun" ] && [ -n "$due" ] && [ $now -ge $due ]; then
                due=
                lab-mark $name-end && echo "@done $name $count"
                sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/@resident $name \1/p;s/^RssAnon:[^0-9]*\([0-9]*\) kB/@anonymous $name \1/p" /proc/$pid/status
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

/// The script that measures `peers` one after the other.
pub fn script(peers: &[&Peer], size: Size, seconds: u64) -> String {
    // Two words of a slow client more than the window takes.
    let stay = WARM_UP + seconds + 10;
    let patience = stay + 40;
    let mut script =
        format!("size={size} seconds={seconds} warm_up={WARM_UP} patience={patience}\n{PRELUDE}");
    for Peer { name, client, start, prepare, .. } in peers {
        let program = match client {
            Client::None => format!("flip --size {size} --stay {stay} --tell {TELL} $device"),
            Client::Heap | Client::Shm => {
                let shm = if *client == Client::Shm { "--shm" } else { "" };
                format!("heapwright-paint --fullscreen --still --stay {stay} --tell {TELL} --json {shm}")
            }
        };
        // The bare loop is its own client: what is measured must be the process itself.
        let before = if *client == Client::None { "exec " } else { "" };
        let prepare = if size == Size::Small { "" } else { prepare };
        script.push_str(&format!(
            "cat >$client <<'END'\n#!/bin/sh\n{prepare}\n\
             {before}{program} >$LAB_OUT/{name}.json 2>/tmp/tell\necho reported >/tmp/tell\nEND\n\
             chmod +x $client\nmeasure {name} {start}\n"
        ));
    }
    script.push_str("exit 0\n");
    script
}
