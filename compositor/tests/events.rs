//! The event loop: timers and work come when they should, also while nothing else does.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use heapwright::{backend::Backend, cli::OfferArgs, events::Loop, memory::Memory, state::Heapwright};
use smithay::reexports::calloop::timer::TimeoutAction;

/// A loop with a server on it, on which nothing happens.
fn idle() -> (Loop, Heapwright) {
    let directory = tempfile::tempdir().unwrap().keep();
    // SAFETY: the only test of this program, which has no other thread yet.
    unsafe { std::env::set_var("XDG_RUNTIME_DIR", directory) };
    let turning = Loop::new().unwrap();
    let offer = OfferArgs { linux_dmabuf: 5 };
    let state = Heapwright::new(&turning, Memory::new(), Backend::Detached, offer).unwrap();
    (turning, state)
}

#[test]
fn what_is_due_is_done_and_nothing_before_that() {
    let (mut turning, mut state) = idle();
    let events = turning.events().clone();
    let seen: Rc<RefCell<Vec<(&str, Instant)>>> = Rc::default();
    let note = |name| {
        let seen = Rc::clone(&seen);
        move || seen.borrow_mut().push((name, Instant::now()))
    };
    let start = Instant::now();
    let (late, early, work) = (note("late"), note("early"), note("work"));
    events
        .insert_timer(Duration::from_millis(60), move |state| {
            late();
            state.events.end();
            TimeoutAction::Drop
        })
        .unwrap();
    let mut rounds = 0;
    events
        .insert_timer(Duration::from_millis(20), move |state| {
            early();
            rounds += 1;
            let work = work.clone();
            // Not lost, though nobody wakes the loop for it.
            state.events.insert_idle(move |state| state.events.insert_idle(move |_| work()));
            if rounds == 1 {
                TimeoutAction::ToDuration(Duration::from_millis(10))
            } else {
                TimeoutAction::Drop
            }
        })
        .unwrap();
    let gone = note("gone");
    let token = events
        .insert_timer(Duration::from_millis(5), move |_| {
            gone();
            TimeoutAction::Drop
        })
        .unwrap();
    events.remove(token);
    turning.run(&mut state).unwrap();

    let seen = seen.borrow();
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["early", "work", "early", "work", "late"]);
    for ((name, at), least) in seen.iter().zip([20, 20, 30, 30, 60]) {
        assert!(*at - start >= Duration::from_millis(least), "{name} came after {:?}", *at - start);
    }
}
