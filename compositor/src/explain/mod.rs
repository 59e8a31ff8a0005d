//! `heapwright explain`: the machine, and where on it a buffer would lie, for people and for programs.

mod columns;
mod html;
mod text;
mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use heapwright_alloc::{
    explain::{Question, explain},
    heaps::Root,
    solver::{Answer, problem::Participant},
};

use crate::cli::ExplainArgs;

pub(crate) use words::grouped;

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
    /// The explanation can't be told as JSON.
    #[error("cannot make JSON: {0}")]
    Json(#[from] serde_json::Error),
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
    let participants = args.participants.as_deref().map(read).transpose()?.unwrap_or_default();
    let question = Question {
        size: args.surface,
        format: args.format,
        count: args.count,
        // People have the node at hand as often as the name.
        device: args.device.as_ref().map(|device| match Path::new(device).file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => device.clone(),
        }),
        participants,
        look_only: args.look_only,
    };
    let explanation = explain(&Root::default(), &question);
    let named = args.device.is_none() || !explanation.displays.is_empty();
    let solved = named && explanation.answers.iter().all(|place| matches!(place.answer, Answer::Solved(_)));
    let text = if args.json {
        serde_json::to_string_pretty(&explanation)? + "\n"
    } else if let Some(path) = &args.html {
        let page = html::page(&explanation);
        fs::write(path, page).map_err(|source| ExplainError::Unwritable { path: path.clone(), source })?;
        String::new()
    } else {
        text::render(&explanation)
    };
    Ok(Told { text, exit_code: u8::from(!solved) })
}

fn read(path: &Path) -> Result<Vec<Participant>, ExplainError> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PARTICIPANTS).read_to_string(&mut text))
        .map_err(|source| ExplainError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| ExplainError::Participants { path: path.to_owned(), source })
}
