//! The device while the session runs: its connectors are followed, it may go, and another may come.
//!
//! ```text
//!            added, or the seat is back: it can be opened
//!   none ------------------------------------------------> open, its connectors followed
//!    ^                                                       |
//!    +------------------- it has vanished -------------------+
//! ```

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use heapwright_alloc::devices::{Change, SubjectKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smithay::{
    backend::{
        drm::{DrmDevice, DrmDeviceFd, DrmEventMetadata, DrmEventTime},
        session::Session as _,
    },
    reexports::drm::{
        ClientCapability, Device as _, DriverCapability,
        control::{Device as _, Event, PageFlipEvent, connector},
    },
};
use tracing::{error, info, warn};

use super::{
    super::{Backend, mode::WantedMode},
    Kms,
    error::KmsError,
    find::{close, connectors, find, is_connected, node_of, open, place, plug, timing},
    frame::shown,
    light::{self, Wishes, light, take_down},
    plan::{Lit, Step, plan},
};
use crate::state::Heapwright;

/// An open device.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) device: DrmDevice,
    /// What the allocator calls it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Its times are of the clock that the compositor's are of.
    monotonic: bool,
}

/// What the user wants of displays.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The one device to use, if one was named.
    device: Option<PathBuf>,
    /// Where it sat when it was there.
    place: Option<PathBuf>,
    mode: Option<WantedMode>,
    /// Modes that were asked for while the session ran, by output.
    of_outputs: Vec<(String, WantedMode)>,
}

impl Wanted {
    pub(super) fn new(device: Option<&Path>, mode: Option<WantedMode>) -> Self {
        Wanted { device: device.map(Path::to_owned), mode, ..Wanted::default() }
    }

    /// The output is to have this mode, also when it was away.
    pub(super) fn remember(&mut self, output: &str, mode: WantedMode) {
        self.of_outputs.retain(|(known, _)| known != output);
        self.of_outputs.push((output.to_owned(), mode));
    }

    fn of(&self, output: &str) -> impl Iterator<Item = WantedMode> {
        let own = self.of_outputs.iter().find(|(known, _)| known == output);
        own.map(|(_, mode)| *mode).into_iter().chain(self.mode)
    }
}

/// Whether a change of the machine's devices is worth looking after.
pub(super) fn concerns(change: &Change) -> bool {
    match change {
        Change::Added(subject) | Change::Removed(subject) | Change::Changed { subject, .. } => {
            subject.kind == SubjectKind::Drm
        }
        _ => true,
    }
}

/// Opens the device that the user named, or the first with a display.
pub(super) fn take_first(state: &mut Heapwright) -> Result<(), KmsError> {
    let Backend::Kms(kms) = &mut state.backend else { return Ok(()) };
    let (path, fd) = match &kms.wanted.device {
        Some(path) => (path.clone(), open(&mut kms.session, path)?),
        None => find(&mut kms.session)?,
    };
    take(state, path, fd)
}

fn take(state: &mut Heapwright, path: PathBuf, fd: DrmDeviceFd) -> Result<(), KmsError> {
    let taken = try_take(state, &path, &fd);
    match (&mut state.backend, &taken) {
        (Backend::Kms(kms), Ok(())) if kms.wanted.device.is_some() => kms.wanted.place = place(&path),
        (Backend::Kms(kms), Err(_)) => close(&mut kms.session, &path, fd),
        _ => {}
    }
    taken
}

fn try_take(state: &mut Heapwright, path: &Path, fd: &DrmDeviceFd) -> Result<(), KmsError> {
    let not_kms = |source| KmsError::NotKms { path: path.to_owned(), source };
    // Somebody may have left a connector for writing back on a CRTC; what is not seen can't be switched off, and then neither
    // can the CRTC. A kernel that knows no such connectors has none.
    let _ = fd.set_client_capability(ClientCapability::Atomic, true);
    let _ = fd.set_client_capability(ClientCapability::WritebackConnectors, true);
    // Its events are read by `read_events`.
    let device = DrmDevice::new(fd.clone(), true);
    // They are no displays.
    let _ = fd.set_client_capability(ClientCapability::WritebackConnectors, false);
    let (device, _) = device.map_err(not_kms)?;
    info!(device = %path.display(), atomic = device.is_atomic(), "display device");
    // After the device is ours: only its master may test what a plane takes.
    let name = state.memory.use_display(fd)?;
    let Backend::Kms(kms) = &mut state.backend else { return Ok(()) };
    let monotonic = fd.get_driver_capability(DriverCapability::MonotonicTimestamp).is_ok_and(|cap| cap == 1);
    kms.card = Some(Card { device, name, path: path.to_owned(), monotonic });
    Ok(())
}

/// Looks at everything again: the device may have gone, or another come; displays may have come and gone.
pub(super) fn follow(state: &mut Heapwright) {
    let Backend::Kms(kms) = &state.backend else { return };
    if kms.has_vanished() {
        lose(state);
    }
    let Backend::Kms(kms) = &mut state.backend else { return };
    if !kms.session.is_active() {
        // Only who has the seat may ask the hardware; when it comes back, it is asked.
        return;
    }
    if kms.card.is_none() && !seek(state) {
        return;
    }
    for error in follow_connectors(state, false) {
        warn!(%error, "an output stays dark");
    }
}

/// Gives up a device that does not answer any more.
fn lose(state: &mut Heapwright) {
    let before = state.places();
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Some(mut card) = kms.card.take() else { return };
    warn!(device = %card.path.display(), "the display device has gone");
    // Nothing is to be put back in order on it.
    card.device.pause();
    for (_, head) in std::mem::take(&mut kms.heads) {
        take_down(state, head, false);
    }
    state.memory.forget_display(&card.name);
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Card { device, path, .. } = card;
    let fd = device.device_fd().clone();
    drop(device);
    close(&mut kms.session, &path, fd);
    state.arrange(&before);
}

/// Opens a device, if one is there to be used. Whether there is.
fn seek(state: &mut Heapwright) -> bool {
    let Backend::Kms(kms) = &mut state.backend else { return false };
    let found = match &kms.wanted.device {
        None => find(&mut kms.session),
        Some(wanted) => match node_of(wanted, kms.wanted.place.as_deref()) {
            Some(node) => open(&mut kms.session, &node).map(|fd| (node, fd)),
            None => return false,
        },
    };
    match found.and_then(|(path, fd)| take(state, path, fd)) {
        Ok(()) => {
            state.renew_default_feedback();
            true
        }
        Err(error) => {
            info!(%error, "no display device yet");
            false
        }
    }
}

/// Lights what is connected and dark, takes down what is not, and gives those another mode that do not offer theirs any
/// more. With `strict`, a display that does not offer the mode of the command line stays dark. Returns what went wrong.
pub(super) fn follow_connectors(state: &mut Heapwright, strict: bool) -> Vec<KmsError> {
    let before = state.places();
    let Backend::Kms(kms) = &mut state.backend else { return Vec::new() };
    let Some(card) = &kms.card else { return Vec::new() };
    let (fd, path) = (card.device.device_fd().clone(), card.path.clone());
    let plugs = match connectors(&fd) {
        Ok(plugs) => plugs,
        Err(error) => {
            let (connector, why) = ("every connector".to_owned(), error.to_string());
            return vec![KmsError::Output { path, connector, why }];
        }
    };
    let lit = kms
        .heads
        .values()
        .map(|head| Lit { connector: head.connector.into(), mode: timing(&head.compositor.pending_mode()) });
    let lit: Vec<_> = lit.collect();
    let steps = plan(&lit, &plugs.iter().map(plug).collect::<Vec<_>>());
    let mut failed = Vec::new();
    let mut drained = false;
    for step in steps {
        match step {
            Step::TakeDown(connector) => take_down_connector(state, connector),
            Step::ChangeMode(connector) => {
                if let Some(info) = info_of(&plugs, connector) {
                    change_mode(state, info);
                }
            }
            Step::Light(connector) => {
                if !std::mem::replace(&mut drained, true) {
                    drain(state, &fd);
                }
                let Some(info) = info_of(&plugs, connector) else { continue };
                let Backend::Kms(kms) = &state.backend else { continue };
                let modes = kms.wanted.of(&light::name(info)).collect();
                let strict = strict && kms.wanted.mode.is_some();
                failed.extend(light(state, &fd, &path, info, &Wishes { modes, strict }).err());
            }
        }
    }
    keep_modes(state, &plugs);
    state.arrange(&before);
    failed
}

fn info_of(plugs: &[connector::Info], connector: u32) -> Option<&connector::Info> {
    plugs.iter().find(|info| u32::from(info.handle()) == connector)
}

fn take_down_connector(state: &mut Heapwright, connector: u32) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    let crtc = kms.heads.iter().find(|(_, head)| u32::from(head.connector) == connector);
    let Some(crtc) = crtc.map(|(crtc, _)| *crtc) else { return };
    if let Some(head) = kms.heads.remove(&crtc) {
        take_down(state, head, true);
    }
}

fn change_mode(state: &mut Heapwright, info: &connector::Info) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    let name = light::name(info);
    let modes = kms.wanted.of(&name).collect();
    let Some(head) = kms.heads.values_mut().find(|head| head.connector == info.handle()) else { return };
    let wishes = Wishes { modes, strict: false };
    if let Err(why) = wishes.choose(info.modes()).and_then(|mode| light::change_mode(head, mode)) {
        warn!(output = name, why, "an output keeps a mode that its display does not offer");
    }
}

/// Keeps what each lit display offers now.
fn keep_modes(state: &mut Heapwright, plugs: &[connector::Info]) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    for info in plugs.iter().filter(|info| is_connected(info)) {
        if let Some(head) = kms.heads.values_mut().find(|head| head.connector == info.handle()) {
            head.modes = info.modes().to_vec();
        }
    }
}

/// Takes what the kernel has to say of frames given so far, before a CRTC that was taken down is lit again: its last
/// event is not to be taken for one of the new output. There is no event on its way: switching off waits for it.
fn drain(state: &mut Heapwright, fd: &DrmDeviceFd) {
    let mut readable = [PollFd::new(fd, PollFlags::IN)];
    // Not every seat opens devices so that reading never waits.
    if poll(&mut readable, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
        read_events(state);
    }
}

/// Takes what the device has to say of frames; there is something to read.
pub(crate) fn read_events(state: &mut Heapwright) {
    let Backend::Kms(kms) = &state.backend else { return };
    let Some(card) = &kms.card else { return };
    let monotonic = card.monotonic;
    let events = match card.device.device_fd().receive_events() {
        Ok(events) => events,
        Err(error) => {
            error!(%error, "display device");
            state.events.insert_idle(follow);
            return;
        }
    };
    for event in events {
        let Event::PageFlip(PageFlipEvent { frame, duration, crtc }) = event else { continue };
        shown(state, crtc, metadata(monotonic, duration, frame));
    }
}

fn metadata(monotonic: bool, time: Duration, sequence: u32) -> Option<DrmEventMetadata> {
    monotonic.then_some(DrmEventMetadata { time: DrmEventTime::Monotonic(time), sequence })
}

impl Kms {
    /// Whether there was a device, and it does not answer any more.
    pub(super) fn has_vanished(&self) -> bool {
        let gone = rustix::io::Errno::NODEV.raw_os_error();
        let Some(card) = &self.card else { return false };
        card.device.get_driver().is_err_and(|error| error.raw_os_error() == Some(gone))
    }
}
