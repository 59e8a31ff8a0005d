//! Waiting for the compositor, and not for ever.

use std::time::Duration;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use wayland_client::{EventQueue, backend::WaylandError};

use crate::client::{Client, Failed};

/// One round of events, waiting at most `patience`.
pub fn turn(
    queue: &mut EventQueue<Client>,
    client: &mut Client,
    patience: Duration,
    what: &'static str,
) -> Result<(), Failed> {
    if queue.dispatch_pending(client)? > 0 {
        return Ok(());
    }
    queue.flush()?;
    let Some(guard) = queue.prepare_read() else { return Ok(()) };
    let fd = guard.connection_fd();
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    let points = client.awaited().map(|event| PollFd::new(event, PollFlags::IN));
    let mut fds: Vec<_> = std::iter::once(PollFd::new(&fd, PollFlags::IN)).chain(points).collect();
    match poll(&mut fds, Some(&timeout)) {
        Ok(0) => return Err(Failed::Patience(patience, what)),
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let released: Vec<_> = fds.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect();
    drop(fds);
    match guard.read() {
        // Woken by a point, or without a whole message to read.
        Err(WaylandError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        read => {
            read?;
        }
    }
    // What was said before the point was signalled is heard before.
    queue.dispatch_pending(client)?;
    client.came(&released);
    Ok(())
}

/// Rounds of events until something is so.
pub fn until(
    queue: &mut EventQueue<Client>,
    client: &mut Client,
    patience: Duration,
    what: &'static str,
    done: impl Fn(&Client) -> bool,
) -> Result<(), Failed> {
    while !done(client) {
        turn(queue, client, patience, what)?;
    }
    Ok(())
}
