//! `heapwright msg`: what a running compositor answers, for people and for programs.

use std::fmt::Write as _;

use crate::{
    backend::mode::{Offered, WantedMode},
    cli::MsgCommand,
    ipc::{
        AskError, FrameNow, FrameSurface, FramesNow, OutputNow, Refusal, Reply, Request, Shown, SurfaceNow,
        ask,
    },
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
    /// It does not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
        _ => Err(MsgError::Other),
    }
}

/// The outputs of the running compositor.
///
/// # Errors
/// [`MsgError`] when it doesn't answer.
pub fn outputs() -> Result<Vec<OutputNow>, MsgError> {
    match ask(Request::Outputs)? {
        Reply::Outputs(outputs) => Ok(outputs),
        _ => Err(MsgError::Other),
    }
}

/// Gives an output of the running compositor another mode; the output as it is then.
///
/// # Errors
/// [`MsgError::Refused`] when there is no such output, or no such mode.
pub fn set_mode(output: &str, mode: WantedMode) -> Result<Vec<OutputNow>, MsgError> {
    match ask(Request::SetMode { output: output.to_owned(), mode })? {
        Reply::Outputs(outputs) => Ok(outputs.into_iter().filter(|it| it.name == output).collect()),
        Reply::Refused(refusal) => Err(MsgError::Refused(refusal)),
        _ => Err(MsgError::Other),
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
        _ => Err(MsgError::Other),
    };
    let frames = asked(output)?;
    match output {
        Some(name) if frames.outputs.is_empty() => {
            let known = asked(None)?.outputs.into_iter().map(|known| known.output).collect();
            Err(Refusal::no_output(name, known).into())
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
        MsgCommand::Outputs => told(&outputs()?, json),
        MsgCommand::Output { name, mode } => told(&set_mode(name, *mode)?, json),
        MsgCommand::Top { once } => top::run(*once || json, json),
    }
}

fn told(outputs: &[OutputNow], json: bool) -> Result<String, MsgError> {
    if json {
        return Ok(serde_json::to_string_pretty(outputs)? + "\n");
    }
    Ok(outputs.iter().map(|output| describe_output(output) + "\n").collect())
}

/// An output in a few lines.
#[must_use]
pub fn describe_output(output: &OutputNow) -> String {
    let OutputNow { name, device, mode, modes, place: (x, y), scale, planes } = output;
    let device = device.as_ref().map_or_else(String::new, |device| format!(" on {}", device.display()));
    let mode = mode.map_or_else(|| "no mode".to_owned(), |mode| Offered::from(mode).to_string());
    let mut text = format!("{name}{device}: {mode} at {x},{y}, scale {scale}");
    if !planes.is_empty() {
        let planes: Vec<_> = planes.iter().map(|plane| format!("{} {}", plane.kind, plane.id)).collect();
        text.push_str(&format!("\n    planes: {}", planes.join(", ")));
    }
    let modes: Vec<_> = modes.iter().map(|mode| Offered::from(*mode).to_string()).collect();
    text.push_str(&format!("\n    offers: {}", modes.join(", ")));
    text
}

/// Frames, a line each, and a line for each of their surfaces.
#[must_use]
pub fn describe_frames(frames: &FramesNow) -> String {
    let mut text = String::new();
    for output in &frames.outputs {
        for frame in &output.frames {
            let FrameNow { number, drawn_us, presented_us, surfaces, copied_bytes, flipped, unlisted } =
                frame;
            let shown = presented_us.map_or_else(
                || "on its way".to_owned(),
                |presented| {
                    format!("shown after {:.1} ms", presented.saturating_sub(*drawn_us) as f64 / 1000.0)
                },
            );
            // Writing to a string cannot fail.
            let cost = if *flipped { "flipped".to_owned() } else { format!("{copied_bytes} bytes copied") };
            let _ = writeln!(text, "{} frame {number}, {shown}, {cost}", output.output);
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
    use crate::ipc::{BufferNow, ModeNow, PlaneNow, SurfacePlane};
    use heapwright_alloc::constraints::{Fourcc, Modifier, Size};

    #[test]
    fn an_output_says_what_it_has_and_could_have() {
        let mode = |size, refresh_millihertz| ModeNow { size, refresh_millihertz, preferred: false };
        let output = OutputNow {
            name: "Virtual-1".to_owned(),
            device: Some("/dev/dri/card1".into()),
            mode: Some(mode((1024, 768), 60_004)),
            modes: vec![mode((1024, 768), 60_004), mode((800, 600), 56_250)],
            place: (1280, 0),
            scale: 1.0,
            planes: vec![PlaneNow { id: 31, kind: "primary".to_owned() }],
        };
        assert_eq!(
            describe_output(&output),
            "Virtual-1 on /dev/dri/card1: 1024x768@60.00 at 1280,0, scale 1\n    planes: primary 31\n    \
             offers: 1024x768@60.00, 800x600@56.25"
        );
    }

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
