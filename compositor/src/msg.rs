//! `heapwright msg`: what a running compositor answers, for people and for programs.

use std::fmt::Write as _;

use crate::{
    cli::MsgCommand,
    ipc::{AskError, FrameNow, FrameSurface, FramesNow, Reply, Request, Shown, SurfaceNow, ask},
    top,
};

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub enum MsgError {
    /// The compositor did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It answered something else.
    #[error("the compositor answered another question; is it another version?")]
    Other,
    /// The answer can't be told as JSON.
    #[error("cannot make JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The output is not known, or has shown nothing.
    #[error("there is no output {name:?}; it has {known}")]
    NoOutput {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The terminal fails.
    #[error("the terminal cannot be used: {0}; --once prints once")]
    Terminal(#[from] std::io::Error),
}

/// The surfaces of the running compositor.
///
/// # Errors
/// [`MsgError`] when it doesn't answer.
pub fn surfaces() -> Result<Vec<SurfaceNow>, MsgError> {
    match ask(Request::Surfaces)? {
        Reply::Surfaces(surfaces) => Ok(surfaces),
        Reply::Frames(_) | Reply::Error(_) => Err(MsgError::Other),
    }
}

/// The last frames of the running compositor, at most `last` of each output.
///
/// # Errors
/// [`MsgError`] when it doesn't answer, or has no such output.
pub fn frames(output: Option<&str>, last: u32) -> Result<FramesNow, MsgError> {
    let asked = |output: Option<&str>| match ask(Request::Frames { output: output.map(str::to_owned), last })?
    {
        Reply::Frames(frames) => Ok(frames),
        Reply::Surfaces(_) | Reply::Error(_) => Err(MsgError::Other),
    };
    let frames = asked(output)?;
    match output {
        Some(name) if frames.outputs.is_empty() => {
            let known: Vec<_> = asked(None)?.outputs.into_iter().map(|known| known.output).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(MsgError::NoOutput { name: name.to_owned(), known })
        }
        _ => Ok(frames),
    }
}

/// Asks, and words the answer.
///
/// # Errors
/// [`MsgError`].
pub fn run(what: &MsgCommand, json: bool) -> Result<String, MsgError> {
    match what {
        MsgCommand::Surfaces => {
            let surfaces = surfaces()?;
            if json {
                return Ok(serde_json::to_string_pretty(&surfaces)? + "\n");
            }
            Ok(surfaces.iter().map(|surface| describe(surface) + "\n").collect())
        }
        MsgCommand::Frames { output, last } => {
            let frames = frames(output.as_deref(), *last)?;
            Ok(if json { serde_json::to_string_pretty(&frames)? + "\n" } else { describe_frames(&frames) })
        }
        MsgCommand::Top { once } => top::run(*once || json, json),
    }
}

/// Frames, a line each, and a line for each of their surfaces.
#[must_use]
pub fn describe_frames(frames: &FramesNow) -> String {
    let mut text = String::new();
    for output in &frames.outputs {
        for frame in &output.frames {
            let FrameNow { number, drawn_us, presented_us, surfaces, copied_bytes, unlisted } = frame;
            let shown = presented_us.map_or_else(
                || "on its way".to_owned(),
                |presented| {
                    format!("shown after {:.1} ms", presented.saturating_sub(*drawn_us) as f64 / 1000.0)
                },
            );
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} frame {number}, {shown}, {copied_bytes} bytes copied", output.output);
            for surface in surfaces {
                let FrameSurface { id, role, buffer, bytes, damage_pixels, .. } = surface;
                let _ = writeln!(
                    text,
                    "    {id} {role}: {} {} {} in {}, {bytes} bytes, {damage_pixels} pixels new: {}",
                    buffer.size,
                    buffer.format,
                    buffer.modifier,
                    buffer.memory,
                    how(surface)
                );
            }
            if *unlisted > 0 {
                let _ = writeln!(text, "    and {unlisted} more");
            }
        }
    }
    text
}

/// How a frame showed a surface, in words.
#[must_use]
pub fn how(surface: &FrameSurface) -> String {
    match (&surface.plane, &surface.why) {
        (Some(plane), _) => format!("zero-copy on {plane}"),
        (None, Some(why)) if surface.converted => format!("converted and copied: {why}"),
        (None, Some(why)) => format!("copied: {why}"),
        (None, None) if surface.zero_copy => "zero-copy".to_owned(),
        (None, None) => "covered".to_owned(),
    }
}

/// A surface in a few lines.
#[must_use]
pub fn describe(surface: &SurfaceNow) -> String {
    let SurfaceNow { id, role, app_id, title, buffer, shown } = surface;
    let app = app_id.as_deref().map_or_else(String::new, |app_id| format!(" of {app_id}"));
    let title = title.as_deref().map_or_else(String::new, |title| format!(" {title:?}"));
    let pitches: Vec<_> = buffer.planes.iter().map(|plane| plane.pitch.to_string()).collect();
    let pitch = if pitches.is_empty() { String::new() } else { format!(", pitch {}", pitches.join(" and ")) };
    let name = buffer.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
    let mut text = format!(
        "{id} {role}{app}{title}: {} {} {}{pitch}, in {}{name}",
        buffer.size, buffer.format, buffer.modifier, buffer.memory
    );
    if shown.is_empty() {
        text.push_str("\n    not to be seen");
    }
    for Shown { output, zero_copy: _, why } in shown {
        let how = why.as_deref().map_or_else(|| "without a copy".to_owned(), |why| format!("copied: {why}"));
        text.push_str(&format!("\n    on {output}, {how}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{BufferNow, SurfacePlane};
    use heapwright_alloc::constraints::{Fourcc, Modifier, Size};

    #[test]
    fn a_surface_says_where_it_lies_and_how_it_is_shown() {
        let mut surface = SurfaceNow {
            id: "12.3".to_owned(),
            role: "window".to_owned(),
            app_id: Some("paint".to_owned()),
            title: None,
            buffer: BufferNow {
                size: Size::new(64, 32),
                format: Fourcc::XRGB8888,
                modifier: Modifier::LINEAR,
                planes: vec![SurfacePlane { offset: 0, pitch: 256 }],
                memory: "system".to_owned(),
                name: None,
            },
            shown: vec![Shown { output: "Virtual-1".to_owned(), zero_copy: true, why: None }],
        };
        let first = "12.3 window of paint: 64x32 XR24 LINEAR, pitch 256, in system\n    ";
        assert_eq!(describe(&surface), format!("{first}on Virtual-1, without a copy"));
        surface.shown[0] =
            Shown { output: "Virtual-1".to_owned(), zero_copy: false, why: Some("no plane".to_owned()) };
        assert_eq!(describe(&surface), format!("{first}on Virtual-1, copied: no plane"));
        surface.shown.clear();
        assert_eq!(describe(&surface), format!("{first}not to be seen"));
    }
}
