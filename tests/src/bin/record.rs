//! `record`: what a session says and shows while windows come and go and memory runs out, kept as text and photographs.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use heapwright_tests::{
    displays,
    lab::{self, Outcome},
    photograph::Photograph,
    vkms,
};

/// Records a run in the lab. The photographs of the first half are the display's own, by its writeback connector; those of
/// the second are the emulator's.
#[derive(Debug, Parser)]
#[command(name = "record")]
struct Cli {
    /// The directory that gets `run.txt` and the pictures.
    #[arg(default_value = "tests/recorded")]
    directory: PathBuf,
}

/// Shell functions of both halves.
const STEPS: &str = r#"
cd $LAB_OUT
export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
say() { echo "$@" | tee -a record; }
step() { say; say "-- $*"; }
shown() { # Lines of the newest frame that is on the screen.
    heapwright msg frames --last 2 | awk '/ frame / { keep = / shown / } keep' | sed 's/ frame [0-9]*,//' | tail -n ${1:-2} | tee -a record
}
started() { # FILE COMMAND...: runs a client that says so in the file when it has been shown for half a second.
    file=$1; shift
    say "\$ $*"
    "$@" --tell 30 >/dev/null 2>$file &
    client=$!
    until grep -q presented $file 2>/dev/null; do kill -0 $session || exit 9; sleep 0.05; done
    # A plane is given to what stays.
    sleep 1
}
gone() { # PID: ends a client, and waits for a screen without it
    kill $1; wait $1
    sleep 0.5
}
"#;

/// Windows come and go above a fullscreen client.
const PLANES: &str = r#"
make_vkms vkms-record 1
say '$ heapwright session --device '$device' (vkms: a primary, an overlay and a cursor plane)'
heapwright session --device $device -- sh -c 'echo $WAYLAND_DISPLAY >there' 2>session.log & session=$!
until_there
photograph() { writeback $device $session $1.png --shrink 2 || exit 8; say "photograph: $1.png"; }

step 'A fullscreen client, in memory negotiated for it and the display'
started paint heapwright-paint --negotiate --fullscreen --still --stay 600; paint=$client
shown; photograph fullscreen

step 'A panel opens above it'
started panel heapwright-paint --shm --size 320x240 --still --stay 600; panel=$client
shown 3; photograph panel

step 'And another, for which no plane is left'
started second heapwright-paint --shm --size 160x120 --band --stay 600; second=$client
shown 4; photograph second

step 'The second closes'
gone $second
shown 3; photograph second-closed

step 'The first closes'
gone $panel
shown; photograph closed

step 'What it was told meanwhile'
say "scan-out again and again: $(grep -c 'direct: true' session.log) time(s), composed: $(grep -c 'direct: false' session.log) time(s)"
kill -TERM $session
wait $session
"#;

/// Contiguous memory runs out while a session goes on.
const POOL: &str = r#"
say '$ heapwright session --device '$(node bochs-drm)' (bochs, and a pool of 64 MiB of contiguous memory)'
heapwright session --device $(node bochs-drm) -- sh -c 'echo $WAYLAND_DISPLAY >there' 2>session.log & session=$!
until_there
photograph() { lab-shot bochs $1; say "photograph: $1.png"; }
free_cma() { say "contiguous memory free: $(sed -n 's/^CmaFree: *//p' /proc/meminfo)"; }

step 'A client, and the pool as it is'
started paint heapwright-paint --negotiate --fullscreen --still --stay 600
shown; free_cma; photograph pool-before

step 'A program that needs contiguous memory takes sixteen pictures of it'
cat >/tmp/panel.json <<'END'
[{ "name": "panel", "role": "cpu", "memory": { "contiguous": true },
   "options": [{ "format": "XR24", "modifier": "LINEAR" }] }]
END
ask='heapwright-ask --size 1024x768 --count 16 /tmp/panel.json'
say "\$ $ask --hold 1000"
$ask --hold 1000 >first & first=$!
until_said first
tee -a record <first; free_cma

step 'Another asks for as many, and is refused; the screen goes on'
say "\$ $ask"
$ask 2>&1 | tee -a record
say "\$ $ask --wait"
$ask --wait >second 2>/tmp/waiting & second=$!
until_said /tmp/waiting
tee -a record </tmp/waiting; shown; photograph pool-dry

step 'The first ends, and the other has what it waits for'
kill $first
wait $second || exit 7
tee -a record <second; free_cma; shown; photograph pool-again
kill -TERM $session
wait $session
"#;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "record: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(&cli.directory)?;
    let patience = Duration::from_secs(300);
    let uml = lab::uml().kernel_argument("vkms.create_default_dev=0");
    let planes = uml.with_workspace()?.timeout(patience);
    let planes = planes.run(&format!("{}{STEPS}{PLANES}", vkms::SHELL))?;
    let pool = lab::qemu().with_workspace()?.timeout(patience);
    let pool = pool.run(&format!("{}{}{STEPS}{POOL}", vkms::SHELL, displays::SHELL))?;
    let mut text =
        String::from("# A recorded run; `cargo run -p heapwright-tests --bin record` makes it anew\n\n");
    for (outcome, heading) in [(&planes, "Planes"), (&pool, "Contiguous memory")] {
        if outcome.code != 0 {
            return Err(format!("{heading}: exit {}\n{}", outcome.code, outcome.tail()).into());
        }
        text.push_str(&format!("# {heading}\n\n{}\n", outcome.text("record")?.trim()));
        text.push('\n');
    }
    fs::write(cli.directory.join("run.txt"), text.trim_end().to_owned() + "\n")?;
    keep(&planes, &["fullscreen", "panel", "second", "second-closed", "closed"], cli)?;
    for name in ["pool-before", "pool-dry", "pool-again"] {
        let photograph = Photograph::parse(&pool.file(&format!("{name}.ppm"))?).ok_or("no photograph")?;
        fs::write(cli.directory.join(format!("{name}.png")), photograph.png(2)?)?;
    }
    Ok(())
}

fn keep(outcome: &Outcome, names: &[&str], cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    for name in names {
        let name = format!("{name}.png");
        fs::write(cli.directory.join(&name), outcome.file(&name)?)?;
    }
    Ok(())
}
