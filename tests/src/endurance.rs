//! Long use of the board in a short time: windows open, become fullscreen, change their size, close and crash, over and
//! over, and in the end nothing of them may be left: no page of contiguous memory, no descriptor, no buffer.
//!
//! What counts is what a user does, not how long it takes: one who does something every two seconds does 3600 things in
//! two hours.

use std::{fmt, time::Duration};

use crate::{displays, lab::Scenario, vkms};

/// What somebody who does something every two seconds does in two hours.
pub const TWO_HOURS: u64 = 3600;

/// Memory of its own that a session may have more at the end than at the beginning, KiB: the arenas of its allocator do not
/// shrink to the page.
const GROWTH_KIB: u64 = 1024;

/// What a session holds while it has no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Things that the user had done.
    pub actions: u64,
    /// Pages of contiguous memory that nobody has.
    pub free_pages: u64,
    /// Buffers that the kernel shares between processes.
    pub dma_bufs: u64,
    /// Descriptors of the session's process.
    pub descriptors: u64,
    /// Its resident memory, KiB.
    pub resident_kib: u64,
    /// The part of that which is no file's, KiB.
    pub anonymous_kib: u64,
}

impl Held {
    /// Of a line `@held ACTIONS PAGES BUFFERS DESCRIPTORS RESIDENT ANONYMOUS`.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let numbers = line.strip_prefix("@held ")?.split_whitespace().map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
        let [actions, free_pages, dma_bufs, descriptors, resident_kib, anonymous_kib] = numbers[..] else {
            return None;
        };
        Some(Held { actions, free_pages, dma_bufs, descriptors, resident_kib, anonymous_kib })
    }

    /// What was left behind since `before`, when as little was open.
    #[must_use]
    pub fn left_since(&self, before: &Held) -> Vec<String> {
        let mut left = Vec::new();
        let mut compare = |what: &str, before: u64, now: u64, worse: bool| {
            if worse {
                left.push(format!("{what}: {before} before, {now} after"));
            }
        };
        let (pages, buffers) = (before.free_pages, before.dma_bufs);
        compare("free pages of contiguous memory", pages, self.free_pages, self.free_pages < pages);
        compare("shared buffers", buffers, self.dma_bufs, self.dma_bufs > buffers);
        let (descriptors, own) = (before.descriptors, before.anonymous_kib);
        compare("descriptors", descriptors, self.descriptors, self.descriptors > descriptors);
        let grown = self.anonymous_kib > own.saturating_add(GROWTH_KIB);
        compare("KiB of the session's own memory", own, self.anonymous_kib, grown);
        left
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { actions, free_pages, dma_bufs, descriptors, resident_kib, anonymous_kib } = self;
        write!(
            f,
            "{actions:>5} actions: {free_pages} pages free, {dma_bufs} buffers, {descriptors} descriptors, \
             {resident_kib} KiB resident, {anonymous_kib} of them anonymous"
        )
    }
}

/// The scenario's script: at least so many actions. It prints a `@held` line when every kind of client was there once and
/// has gone, one after every round of them, and one at the end.
#[must_use]
pub fn script(actions: u64) -> String {
    format!("wanted={actions}\n{}{}{STEPS}", vkms::SHELL, displays::SHELL)
}

/// The board, with time for so many actions.
#[must_use]
pub fn board(actions: u64) -> Scenario {
    crate::lab::board().timeout(Duration::from_secs(120 + 2 * actions))
}

const STEPS: &str = r#"
cd $LAB_OUT
export XDG_RUNTIME_DIR=/tmp/xdg; mkdir -m 700 $XDG_RUNTIME_DIR
heapwright session --device $(node pl111) -- sh -c 'echo $WAYLAND_DISPLAY >there' 2>session.log & session=$!
until_there
actions=0 crashed=0

free_pages() {
    echo $(($(cat /sys/kernel/mm/cma/*/available_pages | paste -sd+)))
}
held() {
    set -- $(sed -n 's/^\(VmRSS\|RssAnon\):[^0-9]*\([0-9]*\) kB/\2/p' /proc/$session/status)
    echo "@held $actions $(free_pages) $(sed -n 's/^Total \([0-9]*\) objects.*/\1/p' /sys/kernel/debug/dma_buf/bufinfo) $(ls /proc/$session/fd | wc -l) $1 $2"
}
idle() { # Waits until no window is left, and nothing that was kept for the next one: that is kept for ten seconds.
    until ! heapwright msg surfaces | grep -q ' window '; do kill -0 $session || exit 9; sleep 0.2; done
    for second in $(seq 30); do
        grep -q negotiated /sys/kernel/debug/dma_buf/bufinfo || break
        sleep 1
    done
}
use() { # ARGUMENTS...: a window from its opening to its closing; each size that it had was an action, and the closing
    heapwright-paint --band --frames 30 --toggle 6 --resize 4 --json "$@" >paint.json || exit 8
    actions=$((actions + $(sed 's/.*"sizes":\([0-9]*\).*/\1/' paint.json) + 1))
}
crash() { # ARGUMENTS...: one that is killed in the middle of a frame
    rm -f told
    heapwright-paint --fullscreen --stay 100 --tell 1 "$@" 2>told >paint.out & client=$!
    until_said told
    kill -KILL $client
    wait $client 2>/dev/null
    actions=$((actions + 2)) crashed=$((crashed + 1))
}
above() { # A window above one that was shown without a copy, which is composed then, and back
    rm -f told
    heapwright-paint --negotiate --fullscreen --band --stay 100 --tell 1 2>told >below.out & below=$!
    until_said told
    heapwright-paint --shm --size 320x240 --still --frames 10 >above.out || exit 7
    kill $below
    wait $below 2>/dev/null
    actions=$((actions + 4))
}
round() {
    use --negotiate
    use --shm
    use
    crash --negotiate
    above
}

round
idle
actions=0
held
while [ $actions -lt $wanted ]; do
    round
    held
done
idle
held
kill -TERM $session
wait $session
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_told_and_what_was_given_back_is_not() {
        let before = Held::parse("@held 0 15000 3 40 20000 9000").unwrap();
        assert_eq!(before.left_since(&before), Vec::<String>::new());
        let more = Held { free_pages: 15001, resident_kib: 22000, anonymous_kib: 10024, ..before };
        assert_eq!(more.left_since(&before), Vec::<String>::new());
        let left = Held { free_pages: 14999, dma_bufs: 4, descriptors: 41, anonymous_kib: 10025, ..before };
        let told = left.left_since(&before);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[0], "free pages of contiguous memory: 15000 before, 14999 after");
        assert_eq!(Held::parse("@held 1 2 3 4 5"), None);
        assert_eq!(Held::parse("@held 1 2 3 4 5 x"), None);
    }
}
