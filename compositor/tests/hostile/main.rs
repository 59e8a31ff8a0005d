//! Clients that send what no client should: each ends itself at most, and nobody else notices.
//!
//! The program is the real one. Worth running with `--release` as well: some requests end one build, some the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations,
    reason = "a helper of a test that finds its own set-up broken has nothing better to do than stop"
)]

mod buffers;
mod client;
mod floods;
mod negotiation;
mod popups;
mod server;
mod surfaces;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};

use client::Client;
use server::{Bystander, Server};

/// What must come of a scenario.
#[derive(Debug, Copy, Clone)]
pub enum Outcome {
    /// Nothing: the client goes on.
    Fine,
    /// The client ends with this error of this interface.
    Error(&'static str, u32),
    /// The client ends: with this error of this interface, if the news of it is not lost. Who still writes thousands of
    /// requests when it is cut off finds the pipe broken, and what was in it gone.
    Cut(&'static str, u32),
    /// The client may go on or end.
    Any,
}
pub use Outcome::{Any, Cut, Error, Fine};

/// One thing that a client does.
pub struct Case {
    pub says: &'static str,
    pub act: fn(&mut Client),
    pub outcome: Outcome,
}

/// A case of a table.
pub const fn case(says: &'static str, act: fn(&mut Client), outcome: Outcome) -> Case {
    Case { says, act, outcome }
}

/// Plays all cases, each by a client of its own, and looks after the bystander in between.
pub fn play(cases: &[Case]) {
    let mut failures = Vec::new();
    let mut place: Option<(Server, Bystander)> = None;
    for Case { says, act, outcome } in cases {
        let (server, bystander) = place.get_or_insert_with(|| {
            let server = Server::start();
            let bystander = Bystander::connect(&server);
            (server, bystander)
        });
        let heard = catch_unwind(AssertUnwindSafe(|| {
            let mut client = Client::connect(&server.socket);
            act(&mut client);
            let first = client.settle();
            // A second round: what was committed has been drawn by then.
            let served = catch_unwind(AssertUnwindSafe(|| bystander.is_served())).is_ok();
            (first.and_then(|()| client.settle()), served)
        }));
        let ended = server.ended();
        let right = match (&heard, outcome) {
            (Ok((_, false)), _) | (Err(_), _) => false,
            (Ok((Ok(()), true)), Fine | Any) => true,
            (Ok((Err(_), true)), Any) => true,
            (Ok((Err(None), true)), Cut(..)) => true,
            (Ok((Err(Some(error)), true)), Error(interface, code) | Cut(interface, code)) => {
                error.object_interface == *interface && error.code == *code
            }
            _ => false,
        };
        // What the renderer cannot do with one client's picture must not cost everybody a frame.
        let right = right && !server.last_words().contains("operation is not supported");
        if !right || ended.is_some() {
            failures.push(format!(
                "{says}: expected {outcome:?}, heard {heard:?}{}",
                ended.map_or_else(
                    || format!("; the compositor said:\n{}", server.last_words()),
                    |how| format!("; the compositor ended: {how}")
                )
            ));
            place = None;
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
