//! Asking, from another process.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Reply, Request, socket_path};

/// A compositor that does not answer for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest reply that is read, bytes.
const MAX_REPLY: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No compositor is named.
    #[error(
        "no compositor is named: set WAYLAND_DISPLAY and XDG_RUNTIME_DIR as its clients have them, or ask from a client"
    )]
    Unnamed,
    /// Nothing listens there.
    #[error("no heapwright listens at {}: {source}; does WAYLAND_DISPLAY name another compositor?", .path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the compositor did not answer: {0}")]
    Silent(#[source] io::Error),
    /// The answer makes no sense to us.
    #[error("the compositor's answer is not understood: {0}; is it another version?")]
    Strange(#[source] serde_json::Error),
    /// It did not understand.
    #[error("the compositor says: {0}")]
    Refused(String),
}

/// Asks the compositor that the environment names.
///
/// # Errors
/// [`AskError`] when none is named, none listens, or it does not answer within seconds.
pub fn ask(request: Request) -> Result<Reply, AskError> {
    let named = |key| env::var(key).ok().filter(|value| !value.is_empty()).ok_or(AskError::Unnamed);
    let (directory, wayland) = (named("XDG_RUNTIME_DIR")?, named("WAYLAND_DISPLAY")?);
    ask_at(&socket_path(Path::new(&directory), &wayland), request)
}

pub(super) fn ask_at(path: &Path, request: Request) -> Result<Reply, AskError> {
    let mut stream =
        UnixStream::connect(path).map_err(|source| AskError::Absent { path: path.to_owned(), source })?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(AskError::Silent)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(AskError::Silent)?;
    let line = serde_json::to_string(&request).map_err(AskError::Strange)? + "\n";
    stream.write_all(line.as_bytes()).map_err(AskError::Silent)?;
    let mut reply = String::new();
    BufReader::new(stream.take(MAX_REPLY)).read_line(&mut reply).map_err(AskError::Silent)?;
    if reply.is_empty() {
        return Err(AskError::Silent(io::ErrorKind::UnexpectedEof.into()));
    }
    match serde_json::from_str(&reply).map_err(AskError::Strange)? {
        Reply::Error(why) => Err(AskError::Refused(why)),
        reply => Ok(reply),
    }
}
