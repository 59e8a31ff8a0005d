//! Outputs as `heapwright msg` tells of them, and their modes changed.

use smithay::output::{Mode, Output};

use crate::{
    backend::{
        Backend,
        mode::{self, Offered, WantedMode},
    },
    ipc::{ModeNow, OutputNow, Refusal},
    state::Heapwright,
};

impl From<Offered> for ModeNow {
    fn from(mode: Offered) -> Self {
        ModeNow { size: mode.size, refresh_millihertz: mode.millihertz, preferred: mode.preferred }
    }
}

impl From<ModeNow> for Offered {
    fn from(mode: ModeNow) -> Self {
        Offered { size: mode.size, millihertz: mode.refresh_millihertz, preferred: mode.preferred }
    }
}

impl OutputNow {
    /// What an output says of itself; nothing of its device.
    pub(crate) fn of(output: &Output) -> Self {
        let preferred = output.preferred_mode();
        let told = |mode: Mode| ModeNow {
            size: (
                mode.size.w.clamp(0, i32::from(u16::MAX)) as u16,
                mode.size.h.clamp(0, i32::from(u16::MAX)) as u16,
            ),
            refresh_millihertz: mode.refresh.unsigned_abs(),
            preferred: preferred == Some(mode),
        };
        let place = output.current_location();
        OutputNow {
            name: output.name(),
            device: None,
            mode: output.current_mode().map(told),
            modes: output.modes().into_iter().map(told).collect(),
            place: (place.x, place.y),
            scale: output.current_scale().fractional_scale(),
            planes: Vec::new(),
        }
    }
}

impl Heapwright {
    /// Every output, from left to right.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputNow> {
        let mut outputs: Vec<_> = match &self.backend {
            Backend::Detached => Vec::new(),
            Backend::Headless(headless) => vec![OutputNow::of(headless.ring().0)],
            Backend::Kms(kms) => kms.outputs().collect(),
        };
        outputs.sort_by(|a, b| (a.place, &a.name).cmp(&(b.place, &b.name)));
        outputs
    }

    /// Gives an output another mode, and has everything that is on it follow.
    ///
    /// # Errors
    /// [`Refusal`] lists what there is instead.
    pub fn set_output_mode(&mut self, output: &str, wanted: WantedMode) -> Result<(), Refusal> {
        let before = self.places();
        match &mut self.backend {
            Backend::Kms(kms) => kms.set_mode(output, wanted)?,
            Backend::Detached | Backend::Headless(_) => {
                let outputs = self.outputs();
                let Some(known) = outputs.iter().find(|known| known.name == output) else {
                    return Err(Refusal::no_output(output, outputs.into_iter().map(|it| it.name).collect()));
                };
                let offered: Vec<_> = known.modes.iter().map(|mode| Offered::from(*mode)).collect();
                if mode::choose(&offered, Some(wanted)).is_none() {
                    let offered = offered.iter().map(ToString::to_string).collect();
                    return Err(Refusal::NoMode { output: output.to_owned(), wanted, offered });
                }
                // Its only one: it has it.
            }
        }
        self.arrange(&before);
        Ok(())
    }
}
