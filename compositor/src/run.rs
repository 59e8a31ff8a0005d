//! Running the compositor: from the command line to the exit code.

use std::{
    env,
    io::{self, Read as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use signal_hook::consts::{SIGINT, SIGTERM};
use smithay::reexports::calloop::{Interest, Mode, PostAction, generic::Generic, timer::TimeoutAction};
use tracing::{info, warn};

use crate::{
    app::{App, AppError},
    backend::{
        Backend,
        headless::{Headless, HeadlessError},
        kms::{Kms, KmsError},
    },
    cli::{HeadlessArgs, OfferArgs, SessionArgs},
    descriptors,
    events::{Events, Loop, LoopError},
    ipc::Server,
    memory::{CanvasError, Memory, Report},
    runtime_dir,
    screenshot::{ScreenshotError, write_png},
    state::{ExitPolicy, Heapwright, StartError},
};

/// How long the application gets between SIGTERM and the end of its screen.
const GRACE: Duration = Duration::from_secs(2);

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No directory for the socket.
    #[error("cannot make a directory for the socket: {0}; set XDG_RUNTIME_DIR to one you may write to")]
    RuntimeDir(#[source] io::Error),
    /// Signals can't be watched.
    #[error("cannot watch for signals: {0}")]
    Signals(#[source] io::Error),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No headless screen.
    #[error(transparent)]
    Headless(#[from] HeadlessError),
    /// No display.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// No application.
    #[error(transparent)]
    App(#[from] AppError),
    /// There is no event loop.
    #[error(transparent)]
    NoLoop(#[from] LoopError),
    /// The event loop failed.
    #[error("event loop: {0}")]
    Loop(#[from] calloop::Error),
    /// The picture could not be read.
    #[error(transparent)]
    Canvas(#[from] CanvasError),
    /// The picture could not be written.
    #[error(transparent)]
    Screenshot(#[from] ScreenshotError),
}

impl RunError {
    /// Exit code: 125 to 127 for the application as a shell would, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::App(error) => error.exit_code(),
            _ => 1,
        }
    }
}

/// What is left of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code: the application's, where there was one.
    pub exit_code: u8,
    /// Where every buffer lay.
    pub report: Report,
}

fn start(offer: OfferArgs) -> Result<(Loop, Heapwright), RunError> {
    let inherited = descriptors::raise();
    let turning = Loop::new()?;
    let mut state = Heapwright::new(&turning, Memory::new(), Backend::Detached, offer)?;
    state.inherited = Some(inherited);
    end_on_signals(turning.events())?;
    state.questions = questions(turning.events(), &state.socket);
    Ok((turning, state))
}

/// Without the socket for questions everything else still works.
fn questions(events: &Events, wayland: &str) -> Option<Server> {
    let runtime_dir = env::var_os("XDG_RUNTIME_DIR")?;
    let server = Server::start(events.handle(), Path::new(&runtime_dir), wayland, Heapwright::answer);
    server.inspect_err(|error| warn!(%error, "nobody can ask this compositor anything")).ok()
}

/// Ends the compositor on SIGTERM and SIGINT.
///
/// Through handlers and a socket, not signalfd: that would want the signals blocked, and children inherit what is blocked.
fn end_on_signals(events: &Events) -> Result<(), RunError> {
    let (read, write) = UnixStream::pair().map_err(RunError::Signals)?;
    read.set_nonblocking(true).map_err(RunError::Signals)?;
    for signal in [SIGTERM, SIGINT] {
        let write = write.try_clone().map_err(RunError::Signals)?;
        signal_hook::low_level::pipe::register(signal, write).map_err(RunError::Signals)?;
    }
    let source = Generic::new(read, Interest::READ, Mode::Level);
    events
        .insert_source(source, |_, socket, state: &mut Heapwright| {
            let mut bytes = [0; 16];
            // Only the arrival counts, not how many came.
            if let Ok(1..) = (&**socket).read(&mut bytes) {
                info!("asked to end by a signal");
                state.terminate();
            }
            Ok(PostAction::Continue)
        })
        .map_err(|error| error.error)?;
    Ok(())
}

/// Runs a session on a display.
///
/// # Errors
/// [`RunError`] when there is no seat, no display, or no memory that the display takes.
pub fn session(args: &SessionArgs) -> Result<Outcome, RunError> {
    let _runtime_dir = runtime_dir::ensure().map_err(RunError::RuntimeDir)?;
    let (mut turning, mut state) = start(args.offer)?;
    state.exit_policy = ExitPolicy { on_last_client: args.exit_with_last_client };
    Kms::attach(&mut state, args.device.as_deref(), args.mode)?;
    state.advertise_dmabuf();
    state.offer_explicit_sync();
    if !args.app.is_empty() {
        // A session outlives its first application, whatever that ended with.
        let app = App::start(&state, &args.app, |state, _code| {
            state.app = None;
            if state.terminating {
                state.shut_down("the application has ended");
            }
        })?;
        state.app = Some(app);
    }
    turning.run(&mut state)?;
    state.memory.save_links();
    Ok(Outcome { exit_code: 0, report: state.memory.report() })
}

/// Runs an application on a screen of memory.
///
/// # Errors
/// [`RunError`] when there is no memory for the screen, or the application can't be started.
pub fn headless(args: &HeadlessArgs) -> Result<Outcome, RunError> {
    let _runtime_dir = runtime_dir::ensure().map_err(RunError::RuntimeDir)?;
    let (mut turning, mut state) = start(args.offer)?;
    let (width, height) = args.size;
    Headless::attach(&mut state, width, height)?;
    state.advertise_dmabuf();
    state.offer_explicit_sync();
    let app = App::start(&state, &args.app, |state, code| {
        state.exit_code = code;
        state.app = None;
        state.shut_down("the application has ended");
    })?;
    state.app = Some(app);
    if let Some(seconds) = args.stop_after {
        after(&state.events, Duration::from_secs(seconds), |state| {
            info!("time is up");
            state.stopped_by_us = true;
            state.terminate();
        });
    }
    turning.run(&mut state)?;
    if let (Some(path), Backend::Headless(headless)) = (&args.screenshot, &mut state.backend) {
        let (width, height, pitch, pixels) = headless.picture()?;
        write_png(path, width, height, pitch, &pixels)?;
        info!(file = %path.display(), "screenshot written");
    }
    Ok(finish(state))
}

fn finish(state: Heapwright) -> Outcome {
    // An application that we stopped on request has not failed by ending so.
    let stopped = state.stopped_by_us && state.exit_code == 128 + 15;
    let exit_code = if stopped { 0 } else { state.exit_code };
    Outcome { exit_code, report: state.memory.report() }
}

fn after(events: &Events, wait: Duration, then: fn(&mut Heapwright)) {
    let timer = events.insert_timer(wait, move |state| {
        then(state);
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "no timer");
    }
}

impl Heapwright {
    /// Asked to end: gives the application time to end by itself.
    pub fn terminate(&mut self) {
        let Some(app) = &self.app else {
            self.shut_down("asked to");
            return;
        };
        if self.terminating {
            // Asked twice: do not wait any longer.
            self.shut_down("asked twice");
            return;
        }
        self.terminating = true;
        app.terminate();
        after(&self.events.clone(), GRACE, |state| {
            warn!("the application did not end when asked to");
            state.exit_code = 124;
            state.shut_down("out of patience");
        });
    }
}
