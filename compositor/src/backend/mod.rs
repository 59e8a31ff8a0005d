//! Where frames go: a KMS device, or memory alone.

pub mod headless;
pub mod kms;
pub mod mode;
pub mod pace;

use std::{os::fd::BorrowedFd, time::Duration};

use smithay::{
    backend::renderer::pixman::PixmanRenderer,
    reexports::wayland_server::protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
};

use crate::{events::Events, feedback::Source};

/// Where frames go.
#[derive(Debug, Default)]
pub enum Backend {
    /// Nowhere yet: outputs are attached after the globals exist.
    #[default]
    Detached,
    /// To memory; a timer stands for the display's clock.
    Headless(Box<headless::Headless>),
    /// To the displays of one KMS device.
    Kms(Box<kms::Kms>),
}

impl Backend {
    /// Something changed that may show on any output.
    pub fn schedule_all(&mut self, events: &Events) {
        match self {
            Backend::Detached => {}
            Backend::Headless(headless) => headless.schedule(events),
            Backend::Kms(kms) => kms.schedule_all(events),
        }
    }

    /// Whether, since the last time this was asked, more may have changed than the pixels of windows.
    pub fn take_changed(&mut self) -> bool {
        match self {
            Backend::Kms(kms) => kms.take_changed(),
            Backend::Detached | Backend::Headless(_) => true,
        }
    }

    /// A surface has new content; with `only_pixels`, nothing else of it or around it has changed.
    ///
    /// Which outputs show it is found when they are drawn: an output on which nothing changed submits nothing.
    pub fn surface_committed(&mut self, events: &Events, surface: &WlSurface, only_pixels: bool) {
        match self {
            Backend::Detached => {}
            Backend::Headless(headless) => headless.surface_committed(events, surface),
            Backend::Kms(kms) => kms.surface_committed(events, surface, only_pixels),
        }
    }

    /// When the first output that waits for clients has waited long enough, in the compositor's time.
    #[must_use]
    pub fn waits_until(&self) -> Option<Duration> {
        match self {
            Backend::Detached => None,
            Backend::Headless(headless) => headless.waits_until(),
            Backend::Kms(kms) => kms.waits_until(),
        }
    }

    /// Queues a draw of each output that has.
    pub fn schedule_due(&mut self, events: &Events, now: Duration) {
        match self {
            Backend::Detached => {}
            Backend::Headless(headless) => headless.schedule_due(events, now),
            Backend::Kms(kms) => kms.schedule_due(events, now),
        }
    }

    /// A client has destroyed its buffer.
    pub fn forget_buffer(&mut self, buffer: &WlBuffer) {
        if let Backend::Kms(kms) = self {
            kms.forget_buffer(buffer);
        }
    }

    /// Readable when a frame has reached the screen, where a device says so.
    #[must_use]
    pub fn events_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Backend::Detached | Backend::Headless(_) => None,
            Backend::Kms(kms) => Some(kms.node()?.1),
        }
    }

    /// The renderer, once there is an output.
    pub fn renderer(&mut self) -> Option<&mut PixmanRenderer> {
        match self {
            Backend::Detached => None,
            Backend::Headless(headless) => Some(headless.renderer()),
            Backend::Kms(kms) => Some(kms.renderer()),
        }
    }

    /// What composed surfaces can be made of.
    #[must_use]
    pub fn feedback_source(&self) -> Option<Source> {
        match self {
            Backend::Detached => None,
            Backend::Headless(headless) => Some(headless.feedback_source()),
            Backend::Kms(kms) => Some(kms.feedback_source()),
        }
    }

    /// Goes to another virtual terminal, where there are any.
    pub fn change_terminal(&mut self, number: i32) {
        if let Backend::Kms(kms) = self {
            kms.change_terminal(number);
        }
    }
}
