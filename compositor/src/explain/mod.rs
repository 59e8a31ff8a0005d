//! `heapwright explain`: the machine, and where on it a buffer would lie, for people and for programs.

mod columns;
mod html;
mod text;
mod videos;
mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use heapwright_alloc::{
    explain::{Explanation, Question, RendererChoice, explain},
    heaps::Root,
    links::{LinkStore, Trust},
    solver::{Answer, problem::Participant},
};

use serde::Serialize;

use crate::{
    cli::ExplainArgs,
    ipc::SurfaceNow,
    msg::{self, MsgError},
    quirks,
};

pub(crate) use words::{bytes, grouped};

/// Largest file of participants that is read, bytes.
const MAX_PARTICIPANTS: u64 = 16 << 20;

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The file of participants can't be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of participants makes no sense.
    #[error("{}: {source}; it holds a list of participants, as in a problem file", .path.display())]
    Participants {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: serde_json::Error,
    },
    /// The page can't be written.
    #[error("cannot write {}: {source}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The running compositor does not answer.
    #[error(transparent)]
    Msg(#[from] MsgError),
    /// No such surface runs, or more than one.
    #[error("{wrong}; these surfaces run: {there}")]
    Surface {
        /// What is wrong with the name.
        wrong: String,
        /// What could be said.
        there: String,
    },
    /// The explanation can't be told as JSON.
    #[error("cannot make JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The JSON: the explanation, with the surface that it is about.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<&'a SurfaceNow>,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// What is to be printed, and the exit code.
#[derive(Debug)]
pub struct Told {
    /// For standard output, with colours.
    pub text: String,
    /// 0 when the buffer has a place for every display, else 1.
    pub exit_code: u8,
}

/// Explains what the arguments ask for.
///
/// # Errors
/// [`ExplainError`].
pub fn run(args: &ExplainArgs) -> Result<Told, ExplainError> {
    let running = args.running.as_deref().map(find).transpose()?;
    let participants = args.participants.as_deref().map(read).transpose()?.unwrap_or_default();
    let question = Question {
        size: running.as_ref().map(|surface| surface.buffer.size).or(args.surface),
        format: running.as_ref().map(|surface| surface.buffer.format).or(args.format),
        count: args.count,
        device: args.device.as_deref().map(file_name),
        participants,
        renderer: args.renderer.clone().unwrap_or_default(),
        with: args.with.iter().map(|name| file_name(name)).collect(),
        look_only: args.look_only,
        quirks: quirks::table(),
        store: (!args.fresh && !args.look_only)
            .then(LinkStore::usual_path)
            .flatten()
            .map(|path| LinkStore::open(&path, Trust::Any)),
    };
    let explanation = explain(&Root::default(), &question);
    let takes_part = |name: &String| explanation.videos.iter().any(|it| it.takes_part && it.name == *name);
    let named =
        (args.device.is_none() || !explanation.displays.is_empty()) && question.with.iter().all(takes_part);
    let renders = match args.renderer {
        Some(RendererChoice::Named { .. }) => explanation.renderer.name.is_some(),
        _ => true,
    };
    let solved =
        named && renders && explanation.answers.iter().all(|place| matches!(place.answer, Answer::Solved(_)));
    let text = if args.json {
        serde_json::to_string_pretty(&Whole { running: running.as_ref(), explanation: &explanation })? + "\n"
    } else if let Some(path) = &args.html {
        let page = html::page(&explanation, running.as_ref());
        fs::write(path, page).map_err(|source| ExplainError::Unwritable { path: path.clone(), source })?;
        String::new()
    } else {
        text::render(&explanation, running.as_ref())
    };
    Ok(Told { text, exit_code: u8::from(!solved) })
}

/// The name of a device: people have the node at hand as often.
fn file_name(device: &str) -> String {
    let name = Path::new(device).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| device.to_owned())
}

/// The one running surface that `name` means; nothing means the only one.
fn find(name: &str) -> Result<SurfaceNow, ExplainError> {
    choose(msg::surfaces()?, name)
}

fn choose(surfaces: Vec<SurfaceNow>, name: &str) -> Result<SurfaceNow, ExplainError> {
    let named = |surface: &SurfaceNow| {
        let app = surface.app_id.as_deref().or(surface.title.as_deref()).unwrap_or("nameless");
        format!("{} ({app}, {})", surface.id, surface.role)
    };
    let there: Vec<_> = surfaces.iter().map(named).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let mut meant: Vec<_> =
        surfaces.into_iter().filter(|surface| name.is_empty() || surface.is_called(name)).collect();
    if meant.len() > 1 {
        // Who names an application means its window, not what hangs on it.
        meant.retain(|surface| surface.role == "window");
    }
    let many = match <[SurfaceNow; 1]>::try_from(meant) {
        Ok([surface]) => return Ok(surface),
        Err(meant) => !meant.is_empty(),
    };
    let wrong = match (many, name) {
        (false, "") => "no surface runs".to_owned(),
        (false, name) => format!("no surface is called {name:?}"),
        (true, "") => "more than one window runs: say which".to_owned(),
        (true, name) => format!("more than one surface is called {name:?}: say its number"),
    };
    Err(ExplainError::Surface { wrong, there })
}

fn read(path: &Path) -> Result<Vec<Participant>, ExplainError> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PARTICIPANTS).read_to_string(&mut text))
        .map_err(|source| ExplainError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| ExplainError::Participants { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::BufferNow;
    use heapwright_alloc::constraints::{Fourcc, Modifier, Size};

    fn surface(id: &str, app_id: &str) -> SurfaceNow {
        SurfaceNow {
            id: id.to_owned(),
            role: "window".to_owned(),
            app_id: Some(app_id.to_owned()),
            title: None,
            buffer: BufferNow {
                size: Size::new(8, 8),
                format: Fourcc::XRGB8888,
                modifier: Modifier::LINEAR,
                planes: Vec::new(),
                memory: "system".to_owned(),
                name: None,
            },
            shown: Vec::new(),
        }
    }

    #[test]
    fn a_running_surface_is_found_by_any_of_its_names_but_never_guessed() {
        let button = SurfaceNow { role: "subsurface".to_owned(), ..surface("8.4", "paint") };
        let both =
            || vec![surface("7.3", "foot"), surface("7.9", "foot"), button.clone(), surface("8.3", "paint")];
        let id = |name| choose(both(), name).map(|surface| surface.id);
        assert_eq!(id("7.9").ok().as_deref(), Some("7.9"));
        assert_eq!(id("paint").ok().as_deref(), Some("8.3"));
        assert_eq!(choose(vec![surface("1.1", "x")], "").map(|it| it.id).ok().as_deref(), Some("1.1"));
        for (name, why) in
            [("foot", "more than one"), ("", "more than one"), ("gone", "no surface is called")]
        {
            let error = id(name).expect_err("nothing to choose").to_string();
            assert!(error.contains(why) && error.contains("8.3 (paint, window)"), "{error}");
        }
    }
}
