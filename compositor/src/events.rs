//! The event loop: calloop's, with a short way for what comes with every frame.
//!
//! A round of calloop 0.14 takes five system calls beside the wait: its poller sets a timer and arms two descriptors
//! again. A frame takes two rounds, one for the display's event and one for the client's commit, so these two sources are
//! waited for here, beside calloop's own descriptor, and calloop has a round only when something of its own is ready.
//!
//! That costs it two things, which are kept here instead: work for the end of the round, and when timers are due.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fmt, io,
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use smithay::reexports::{
    calloop::{
        self, EventLoop, EventSource, InsertError, LoopHandle, RegistrationToken,
        timer::{TimeoutAction, Timer},
    },
    wayland_server::{
        Display, DisplayHandle,
        backend::{ClientId, InitError, ObjectId},
    },
};

use crate::{backend::kms, state::Heapwright};

type Work = Box<dyn FnOnce(&mut Heapwright)>;

/// To add sources, timers and work to the event loop. Clones are of one loop.
#[derive(Clone)]
pub struct Events {
    handle: LoopHandle<'static, Heapwright>,
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    work: RefCell<VecDeque<Work>>,
    /// When timers are due; of those that were taken out early, too.
    due: RefCell<BinaryHeap<Reverse<Instant>>>,
    /// Who committed when clients were heard last.
    expected: RefCell<Expected>,
    ended: Cell<bool>,
}

/// Who is likely to speak next.
#[derive(Debug, Default)]
enum Expected {
    /// It is not known.
    #[default]
    Nobody,
    /// The client of this object.
    One(ObjectId),
    /// More than one.
    Many,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { work, due, expected, ended } = &*self.shared;
        f.debug_struct("Events")
            .field("work", &work.borrow().len())
            .field("timers", &due.borrow().len())
            .field("expected", &expected.borrow())
            .field("ended", ended)
            .finish_non_exhaustive()
    }
}

impl Events {
    /// Adds a source that is no timer.
    ///
    /// # Errors
    /// Gives the source back with calloop's reason.
    pub fn insert_source<S, F>(&self, source: S, callback: F) -> Result<RegistrationToken, InsertError<S>>
    where
        S: EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut Heapwright) -> S::Ret + 'static,
    {
        self.handle.insert_source(source, callback)
    }

    /// Calls back after `wait`, and after as long as the answer says.
    ///
    /// # Errors
    /// calloop's reason.
    pub fn insert_timer(
        &self,
        wait: Duration,
        mut callback: impl FnMut(&mut Heapwright) -> TimeoutAction + 'static,
    ) -> calloop::Result<RegistrationToken> {
        let first = Instant::now() + wait;
        let shared = Rc::clone(&self.shared);
        let timer = self.handle.insert_source(Timer::from_deadline(first), move |_, (), state| {
            let next = match callback(state) {
                TimeoutAction::Drop => return TimeoutAction::Drop,
                TimeoutAction::ToInstant(next) => next,
                TimeoutAction::ToDuration(wait) => Instant::now() + wait,
            };
            shared.due.borrow_mut().push(Reverse(next));
            TimeoutAction::ToInstant(next)
        });
        let token = timer.map_err(|error| error.error)?;
        self.shared.due.borrow_mut().push(Reverse(first));
        Ok(token)
    }

    /// Takes a source or timer out.
    pub fn remove(&self, token: RegistrationToken) {
        self.handle.remove(token);
    }

    /// Calls back when what is being done is done, before the next wait.
    pub fn insert_idle(&self, work: impl FnOnce(&mut Heapwright) + 'static) {
        self.shared.work.borrow_mut().push_back(Box::new(work));
    }

    /// The client of this object has committed: most likely, it is the next to speak, too.
    pub fn expect(&self, object: ObjectId) {
        let mut expected = self.shared.expected.borrow_mut();
        *expected = match std::mem::take(&mut *expected) {
            Expected::Nobody => Expected::One(object),
            Expected::One(other) if other.same_client_as(&object) => Expected::One(other),
            Expected::One(_) | Expected::Many => Expected::Many,
        };
    }

    /// The one client that is expected to speak, if there is one; from then on, nobody is.
    fn take_expected(&self, display: &DisplayHandle) -> Option<ClientId> {
        match self.shared.expected.take() {
            Expected::One(object) => Some(display.get_client(object).ok()?.id()),
            Expected::Nobody | Expected::Many => None,
        }
    }

    /// Ends the loop after this round.
    pub fn end(&self) {
        self.shared.ended.set(true);
    }

    /// calloop's own handle, for sources that are no timers.
    #[must_use]
    pub fn handle(&self) -> &LoopHandle<'static, Heapwright> {
        &self.handle
    }

    /// How long the loop may wait; for ever without an answer.
    fn patience(&self) -> Option<Duration> {
        if self.shared.ended.get() || !self.shared.work.borrow().is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.shared.due.borrow().peek().map(|Reverse(due)| *due)?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Whether a timer is due; those that are will be awaited no more.
    fn timers_are_due(&self) -> bool {
        let mut due = self.shared.due.borrow_mut();
        if due.is_empty() {
            return false;
        }
        let now = Instant::now();
        let before = due.len();
        while due.peek().is_some_and(|Reverse(due)| *due <= now) {
            due.pop();
        }
        due.len() < before
    }
}

/// The event loop, and the Wayland display that it serves.
#[derive(Debug)]
pub struct Loop {
    calloop: EventLoop<'static, Heapwright>,
    display: Display<Heapwright>,
    events: Events,
    /// In the last round clients had spoken, and only one was heard.
    heard_one: bool,
}

/// Why there is no event loop.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// calloop has none.
    #[error("event loop: {0}")]
    Calloop(#[from] calloop::Error),
    /// No Wayland display.
    #[error("cannot create a Wayland display: {0}")]
    Display(#[from] InitError),
}

impl Loop {
    /// A new loop with a new display.
    ///
    /// # Errors
    /// [`LoopError`].
    pub fn new() -> Result<Self, LoopError> {
        let calloop = EventLoop::try_new()?;
        let events = Events { handle: calloop.handle(), shared: Rc::default() };
        Ok(Loop { calloop, display: Display::new()?, events, heard_one: false })
    }

    /// To add to the loop.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The Wayland display.
    #[must_use]
    pub fn display(&self) -> DisplayHandle {
        self.display.handle()
    }

    /// Rounds until somebody ends it.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn run(&mut self, state: &mut Heapwright) -> calloop::Result<()> {
        while !self.events.shared.ended.get() {
            self.turn(None, state)?;
        }
        Ok(())
    }

    /// One round: waits, at most `wait` if that says so, and does all that is to be done then.
    ///
    /// # Errors
    /// Waiting failed, or one of calloop's sources.
    pub fn turn(&mut self, wait: Option<Duration>, state: &mut Heapwright) -> calloop::Result<()> {
        let waits_until = state.backend.waits_until();
        let left = waits_until.map(|until| until.saturating_sub(state.clock.now().into()));
        let patience = [wait, self.events.patience(), left].into_iter().flatten().min();
        let mut ready = match self.wait(patience, state) {
            Ok(ready) => ready,
            Err(Errno::INTR) => Ready::default(),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        // Nothing tells that a timer is due, but that there was no patience left; the clock is not free.
        if ready == Ready::default() || patience == Some(Duration::ZERO) {
            ready.others |= self.events.timers_are_due();
            if waits_until.is_some() {
                state.backend.schedule_due(&self.events, state.clock.now().into());
            }
        }
        let expected = ready.clients.then(|| self.events.take_expected(&self.display.handle())).flatten();
        // Others may wait since the last round.
        let expected = expected.filter(|_| !self.heard_one);
        self.heard_one = false;
        if ready.frames {
            kms::read_events(state);
        }
        if ready.clients {
            self.hear(expected, state)?;
        }
        if ready.others {
            self.calloop.dispatch(Some(Duration::ZERO), state)?;
        }
        for work in self.events.shared.work.take() {
            work(state);
        }
        state.after_turn(ready.others);
        Ok(())
    }

    /// Takes what clients have said. It takes two system calls to ask who has; not if the one that is expected to has.
    fn hear(&mut self, expected: Option<ClientId>, state: &mut Heapwright) -> io::Result<()> {
        if let Some(client) = expected {
            // What others have said is heard in the next round.
            if self.display.backend().dispatch_single_client(state, client).is_ok_and(|heard| heard > 0) {
                self.heard_one = true;
                return Ok(());
            }
        }
        self.display.dispatch_clients(state)?;
        Ok(())
    }

    fn wait(&self, patience: Option<Duration>, state: &Heapwright) -> rustix::io::Result<Ready> {
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut fds =
            vec![PollFd::new(&self.calloop, PollFlags::IN), PollFd::new(&self.display, PollFlags::IN)];
        let frames = state.backend.events_fd();
        fds.extend(frames.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        poll(&mut fds, patience.as_ref())?;
        let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready { others: is_ready(0), clients: is_ready(1), frames: is_ready(2) })
    }
}

/// What is ready.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ready {
    /// Something of calloop's, or a timer.
    others: bool,
    /// A client has said something.
    clients: bool,
    /// A frame has reached the screen.
    frames: bool,
}
