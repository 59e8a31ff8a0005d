//! `heapwright msg top`: a running compositor, watched.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};

use crate::{
    frames::KEPT,
    ipc::{FrameNow, FramesNow, OutputFrames, SurfaceNow},
    msg::{MsgError, frames, how, surfaces},
};

/// Between two looks.
const PERIOD: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Watches until `q` or Ctrl-C; with `once` there is one look, and its text is returned.
///
/// # Errors
/// [`MsgError`] when the compositor doesn't answer, or the terminal fails.
pub fn run(once: bool, json: bool) -> Result<String, MsgError> {
    let look = || -> Result<(FramesNow, Vec<SurfaceNow>), MsgError> {
        Ok((frames(None, u32::try_from(KEPT).unwrap_or(u32::MAX))?, surfaces()?))
    };
    if once || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let (frames, surfaces) = look()?;
        return Ok(if json {
            serde_json::to_string_pretty(&frames)? + "\n"
        } else {
            table(&frames, &surfaces)
        });
    }
    let _raw = Raw::enter()?;
    loop {
        let (frames, surfaces) = look()?;
        let mut out = io::stdout().lock();
        // Home, each line to its end, and what is left of a longer text before.
        let text = table(&frames, &surfaces).replace('\n', "\x1b[K\n");
        write!(out, "\x1b[H{text}\x1b[J")?;
        out.flush()?;
        drop(out);
        if asked_to_end()? {
            return Ok(String::new());
        }
    }
}

/// Waits for a period, or for a key that ends it.
fn asked_to_end() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Some(&PERIOD)) {
        Ok(0) | Err(Errno::INTR) => return Ok(false),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut keys = [0; 16];
    let count = rustix::io::read(&stdin, &mut keys)?;
    let pressed = keys.get(..count).unwrap_or_default();
    // Nothing to read: the terminal has gone.
    Ok(pressed.is_empty() || pressed.iter().any(|key| [b'q', b'Q', 3].contains(key)))
}

/// The terminal without echo and line editing, on its other screen; as it was when dropped.
struct Raw {
    before: Termios,
}

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        // Ctrl-C as a key, so that the terminal is given back.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let entered = Raw { before };
        // The other screen, without a cursor.
        io::stdout().write_all(b"\x1b[?1049h\x1b[?25l")?;
        Ok(entered)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = io::stdout().write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| io::stdout().flush());
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Frames a second, from the first to the last that were shown.
fn rate(output: &OutputFrames) -> Option<f64> {
    let mut shown = output.frames.iter().filter_map(|frame| frame.presented_us);
    let first = shown.next()?;
    let (count, last) = shown.fold((0u32, first), |(count, _), at| (count + 1, at));
    (last > first).then(|| f64::from(count) * 1_000_000.0 / (last - first) as f64)
}

/// How often a surface was to be seen, and how often without a copy.
fn share(frames: &[FrameNow], id: &str) -> (u32, u32) {
    let seen =
        frames.iter().flat_map(|frame| &frame.surfaces).filter(|surface| surface.id == id && surface.visible);
    seen.fold((0, 0), |(visible, zero_copy), surface| (visible + 1, zero_copy + u32::from(surface.zero_copy)))
}

/// Bytes for people.
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Text that a client chose, so that it cannot move the cursor of the terminal.
fn harmless(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(40).collect()
}

fn table(frames: &FramesNow, surfaces: &[SurfaceNow]) -> String {
    let mut text = String::new();
    for output in &frames.outputs {
        let rate = rate(output).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        let of = f64::from(output.refresh_millihertz) / 1000.0;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {rate} of {of:.1} frames/s", output.output);
        let Some(newest) = output.frames.last() else { continue };
        for surface in &newest.surfaces {
            let (visible, zero_copy) = share(&output.frames, &surface.id);
            let percent = (zero_copy * 100).checked_div(visible).unwrap_or(0);
            let known = surfaces.iter().find(|known| known.id == surface.id);
            let app = known.and_then(|known| known.app_id.as_deref().or(known.title.as_deref()));
            let _ = writeln!(
                text,
                "  {:<12} {:<10} {:<16} {:>10} {} {:<14} {:>10} {percent:>3} % zero-copy  {}",
                surface.id,
                surface.role,
                harmless(app.unwrap_or("-")),
                surface.buffer.size.to_string(),
                surface.buffer.format,
                surface.buffer.memory,
                mebibytes(surface.bytes),
                how(surface)
            );
        }
        if newest.unlisted > 0 {
            let _ = writeln!(text, "  and {} more", newest.unlisted);
        }
    }
    for client in &frames.clients {
        let _ =
            writeln!(text, "client {}: {} buffers, {}", client.pid, client.buffers, mebibytes(client.bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{BufferNow, ClientNow, FrameSurface};
    use heapwright_alloc::constraints::{Fourcc, Modifier, Size};

    fn frame(number: u64, presented_us: Option<u64>, zero_copy: bool) -> FrameNow {
        let buffer = BufferNow {
            size: Size::new(64, 32),
            format: Fourcc::XRGB8888,
            modifier: Modifier::LINEAR,
            planes: Vec::new(),
            memory: "system".to_owned(),
            name: None,
        };
        let surface = FrameSurface {
            id: "12.3".to_owned(),
            role: "window".to_owned(),
            plane: zero_copy.then(|| "overlay 40".to_owned()),
            zero_copy,
            visible: true,
            why: (!zero_copy).then(|| "no plane".to_owned()),
            buffer,
            bytes: 3 << 19,
            converted: false,
            damage_pixels: 0,
        };
        FrameNow {
            number,
            drawn_us: 0,
            presented_us,
            surfaces: vec![surface],
            copied_bytes: 0,
            flipped: false,
            unlisted: 0,
        }
    }

    #[test]
    fn the_table_counts_what_was_shown_and_lets_no_client_draw_on_the_terminal() {
        let shown = [(10_000, false), (26_000, true), (42_000, true), (60_000, true)];
        let mut frames: Vec<_> =
            (1..).zip(shown).map(|(number, (at, zero_copy))| frame(number, Some(at), zero_copy)).collect();
        frames.push(frame(5, None, true));
        let output = OutputFrames { output: "Virtual-1".to_owned(), refresh_millihertz: 60_000, frames };
        let clients = vec![ClientNow { pid: 12, buffers: 2, bytes: 3 << 20 }];
        let surface = SurfaceNow {
            id: "12.3".to_owned(),
            role: "window".to_owned(),
            app_id: Some("bad\x1b[2Jname".to_owned()),
            title: None,
            buffer: output.frames[0].surfaces[0].buffer.clone(),
            shown: Vec::new(),
        };
        let text = table(&FramesNow { outputs: vec![output], clients }, &[surface]);
        assert!(text.starts_with("Virtual-1: 60.0 of 60.0 frames/s\n"), "{text}");
        assert!(text.contains(" 80 % zero-copy  zero-copy on overlay 40\n"), "{text}");
        assert!(text.contains("1.5 MiB"), "{text}");
        assert!(text.contains("client 12: 2 buffers, 3.0 MiB\n"), "{text}");
        assert!(text.contains("bad[2Jname") && !text.contains('\x1b'), "{text:?}");
    }
}
