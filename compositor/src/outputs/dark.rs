//! Clients while there is no output at all: they go on, slowly, until there is one.

use std::time::Duration;

use smithay::{
    desktop::utils::{OutputPresentationFeedback, take_presentation_feedback_surface_tree},
    output::{Output, PhysicalProperties, Subpixel},
    reexports::{
        calloop::timer::TimeoutAction,
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
    },
};
use tracing::{info, warn};

use super::{arrange::Places, row::Area};
use crate::{render::for_each_tree, state::Heapwright};

/// How often clients get a frame callback: they live, and waste nothing.
const PACE: Duration = Duration::from_secs(1);

/// The time without outputs.
#[derive(Debug, Default)]
pub struct Dark {
    /// How the outputs stood before it.
    before: Places,
    /// Whether somebody looks after clients meanwhile.
    ticking: bool,
}

impl Dark {
    pub(super) fn before(&self) -> &[(String, Area)] {
        &self.before
    }
}

impl Heapwright {
    /// The last output has gone.
    pub(super) fn go_dark(&mut self, before: &[(String, Area)]) {
        before.clone_into(&mut self.dark.before);
        if self.dark.ticking {
            return;
        }
        info!("no output: clients go on slowly until there is one");
        // Stands for the one that there is not; nobody ever hears of it.
        let nowhere = Output::new(
            "nowhere".to_owned(),
            PhysicalProperties {
                size: (0, 0).into(),
                subpixel: Subpixel::Unknown,
                make: String::new(),
                model: String::new(),
            },
        );
        let timer = self.events.insert_timer(PACE, move |state| {
            if state.space.outputs().next().is_some() {
                state.dark = Dark::default();
                return TimeoutAction::Drop;
            }
            state.send_frames_nowhere(&nowhere);
            TimeoutAction::ToDuration(PACE)
        });
        match timer {
            Ok(_) => self.dark.ticking = true,
            Err(error) => warn!(%error, "clients stand still until there is an output"),
        }
    }

    /// Frame callbacks for all, and the word that nobody has seen what they drew.
    fn send_frames_nowhere(&self, nowhere: &Output) {
        self.take_callbacks_of(|_, _| true).answer(self.clock.now().into());
        let on_it = || Some(nowhere.clone());
        for_each_tree(&self.space, &self.cursor, |tree, _| {
            let mut unseen = OutputPresentationFeedback::new(nowhere);
            take_presentation_feedback_surface_tree(tree, &mut unseen, |_, _| on_it(), |_, _| Kind::empty());
            unseen.discarded();
        });
    }
}
