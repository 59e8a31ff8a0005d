//! Answering, in the compositor's event loop: nothing here waits for who asks.

use std::{
    cell::Cell,
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    rc::Rc,
};

use smithay::reexports::calloop::{Interest, LoopHandle, Mode, PostAction, generic::Generic};
use tracing::{debug, warn};

use super::{Reply, Request, socket_path};

/// Largest request, bytes.
const MAX_REQUEST: usize = 64 << 10;

/// Conversations at a time: each costs a file descriptor.
const MAX_OPEN: usize = 16;

/// Why questions cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No socket.
    #[error("cannot listen at {}: {source}", .path.display())]
    Listen {
        /// Its place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The event loop refused it.
    #[error("event loop: {0}")]
    Loop(String),
}

/// The socket, removed when dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(path = %self.path.display(), %error, "the socket for questions stays behind");
        }
    }
}

/// Counts one conversation for as long as it lives.
#[derive(Debug)]
struct Turn(Rc<Cell<usize>>);

impl Turn {
    fn take(open: &Rc<Cell<usize>>) -> Option<Turn> {
        (open.get() < MAX_OPEN).then(|| {
            open.set(open.get() + 1);
            Turn(Rc::clone(open))
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Server {
    /// Listens beside the Wayland socket `wayland` in `runtime_dir`, and answers with `answer`.
    ///
    /// # Errors
    /// [`ServeError`] when there can be no socket there.
    pub fn start<State: 'static>(
        events: &LoopHandle<'static, State>,
        runtime_dir: &Path,
        wayland: &str,
        answer: fn(&mut State, Request) -> Reply,
    ) -> Result<Server, ServeError> {
        let path = socket_path(runtime_dir, wayland);
        let listen = |source| ServeError::Listen { path: path.clone(), source };
        // The Wayland socket is ours alone, so what lies beside it is left over from one that crashed.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(listen(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(listen)?;
        let server = Server { path: path.clone() };
        listener.set_nonblocking(true).map_err(listen)?;
        let open = Rc::new(Cell::new(0));
        let loop_handle = events.clone();
        events
            .insert_source(Generic::new(listener, Interest::READ, Mode::Level), move |_, listener, _| {
                match listener.accept() {
                    Ok((stream, _)) => match Turn::take(&open) {
                        Some(turn) => listen_to(&loop_handle, stream, turn, answer),
                        None => warn!(MAX_OPEN, "too many ask at a time: one is turned away"),
                    },
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => debug!(%error, "somebody who asked has gone"),
                }
                Ok(PostAction::Continue)
            })
            .map_err(|error| ServeError::Loop(error.to_string()))?;
        Ok(server)
    }
}

/// Waits for a whole line, and answers it.
fn listen_to<State: 'static>(
    events: &LoopHandle<'static, State>,
    stream: UnixStream,
    turn: Turn,
    answer: fn(&mut State, Request) -> Reply,
) {
    if let Err(error) = stream.set_nonblocking(true) {
        return debug!(%error, "somebody who asked cannot be listened to");
    }
    let mut heard = Vec::new();
    let mut turn = Some(turn);
    let loop_handle = events.clone();
    let source = Generic::new(stream, Interest::READ, Mode::Level);
    let inserted = events.insert_source(source, move |_, stream, state| {
        let mut bytes = [0; 4096];
        let count = match (&**stream).read(&mut bytes) {
            Ok(0) => return Ok(PostAction::Remove),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(PostAction::Continue);
            }
            Err(_) => return Ok(PostAction::Remove),
        };
        heard.extend(bytes.iter().take(count));
        let end = heard.iter().position(|byte| *byte == b'\n');
        let reply = match end {
            None if heard.len() <= MAX_REQUEST => return Ok(PostAction::Continue),
            None => Reply::Error(format!("a request is one line of at most {MAX_REQUEST} bytes")),
            Some(end) => match serde_json::from_slice(heard.get(..end).unwrap_or_default()) {
                Ok(request) => answer(state, request),
                Err(error) => Reply::Error(format!("request not understood: {error}")),
            },
        };
        match (stream.try_clone(), turn.take()) {
            (Ok(stream), Some(turn)) => tell(&loop_handle, stream, turn, &reply),
            (Err(error), _) => debug!(%error, "no file descriptor for an answer"),
            _ => {}
        }
        Ok(PostAction::Remove)
    });
    if let Err(error) = inserted {
        debug!(%error, "somebody who asked cannot be listened to");
    }
}

/// Sends the reply as fast as it is read.
fn tell<State: 'static>(events: &LoopHandle<'static, State>, stream: UnixStream, turn: Turn, reply: &Reply) {
    let line = match serde_json::to_vec(reply) {
        Ok(mut line) => {
            line.push(b'\n');
            line
        }
        Err(error) => return warn!(%error, "an answer cannot be told as JSON"),
    };
    let mut sent = 0;
    let source = Generic::new(stream, Interest::WRITE, Mode::Level);
    let inserted = events.insert_source(source, move |_, stream, _| {
        let _counted = &turn;
        match (&**stream).write(line.get(sent..).unwrap_or_default()) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Ok(PostAction::Remove),
        }
        Ok(if sent < line.len() { PostAction::Continue } else { PostAction::Remove })
    });
    if let Err(error) = inserted {
        debug!(%error, "an answer cannot be sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{AskError, ask::ask_at};
    use smithay::reexports::calloop::EventLoop;
    use std::thread;

    /// Runs a server until `ask` has its answer.
    fn with_server<T: Send + 'static>(ask: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let directory = tempfile::tempdir().expect("a directory");
        let mut events = EventLoop::<usize>::try_new().expect("an event loop");
        let _server = Server::start(&events.handle(), directory.path(), "wayland-7", |surfaces, _| {
            Reply::Error("x".repeat(*surfaces))
        })
        .expect("a server");
        let path = socket_path(directory.path(), "wayland-7");
        let asking = thread::spawn(move || ask(path));
        // Far more than any socket holds, so that the answer goes out in parts.
        let mut state = 4 << 20;
        while !asking.is_finished() {
            events.dispatch(Some(std::time::Duration::from_millis(1)), &mut state).expect("dispatch");
        }
        asking.join().expect("no panic")
    }

    #[test]
    fn a_long_answer_arrives_whole() {
        let answer = with_server(|path| ask_at(&path, Request::Surfaces));
        assert!(matches!(answer, Err(AskError::Refused(text)) if text.len() == 4 << 20));
    }

    #[test]
    fn nonsense_is_answered_and_silence_harms_nobody() {
        let reply = with_server(|path| {
            // As many as may talk at a time say nothing, or go away.
            let silent: Vec<_> = (0..MAX_OPEN).map(|_| UnixStream::connect(&path).expect("open")).collect();
            let mut turned_away = UnixStream::connect(&path).expect("accepted by the kernel");
            let mut nothing = String::new();
            let end = turned_away.read_to_string(&mut nothing).map(|_| nothing);
            drop(silent);
            let mut reply = String::new();
            while reply.is_empty() {
                let mut stream = UnixStream::connect(&path).expect("a turn is free again");
                // A server that is still full closes at once.
                let _broken_pipe = stream.write_all(b"{\"windows\": 1}\n");
                let _reset = stream.read_to_string(&mut reply);
            }
            (end, reply)
        });
        assert_eq!(reply.0.expect("a clean end"), "");
        assert!(reply.1.contains("request not understood"), "{}", reply.1);
    }

    #[test]
    fn the_socket_goes_with_its_server() {
        let directory = tempfile::tempdir().expect("a directory");
        let events = EventLoop::<()>::try_new().expect("an event loop");
        let start =
            || Server::start(&events.handle(), directory.path(), "w", |(), _| Reply::Surfaces(Vec::new()));
        let path = socket_path(directory.path(), "w");
        fs::write(&path, "left over").expect("a stale file");
        let server = start().expect("a server");
        assert!(UnixStream::connect(&path).is_ok());
        drop(server);
        assert!(!path.exists());
    }
}
