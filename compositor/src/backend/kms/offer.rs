//! What lit displays offer, told to who asks; and another mode of it taken.

use super::{
    Kms,
    head::Head,
    light::{Wishes, change_mode, offered},
};
use crate::{
    backend::mode::WantedMode,
    ipc::{ModeNow, OutputNow, PlaneNow, Refusal},
};

impl Kms {
    /// Every output that is lit.
    pub fn outputs(&self) -> impl Iterator<Item = OutputNow> + '_ {
        let device = self.card.as_ref().map(|card| card.path.clone());
        self.heads.values().map(move |head| OutputNow { device: device.clone(), ..tell(head) })
    }

    /// Gives an output another mode, which it keeps also when it is unplugged and plugged in again.
    ///
    /// # Errors
    /// [`Refusal`] lists what there is instead.
    pub fn set_mode(&mut self, output: &str, wanted: WantedMode) -> Result<(), Refusal> {
        let known = || self.heads.values().map(|head| head.output.name()).collect();
        let Some(head) = self.heads.values().find(|head| head.output.name() == output) else {
            return Err(Refusal::no_output(output, known()));
        };
        let crtc = head.compositor.crtc();
        let Ok(mode) = (Wishes { modes: vec![wanted], strict: true }).choose(&head.modes) else {
            let offered = offered(&head.modes).iter().map(ToString::to_string).collect();
            return Err(Refusal::NoMode { output: output.to_owned(), wanted, offered });
        };
        let refused = |why| Refusal::Display { output: output.to_owned(), wanted, why };
        if !self.is_active() {
            return Err(refused("another session has the display now".to_owned()));
        }
        let Some(head) = self.heads.get_mut(&crtc) else { return Ok(()) };
        change_mode(head, mode).map_err(refused)?;
        self.wanted.remember(output, wanted);
        Ok(())
    }
}

fn tell(head: &Head) -> OutputNow {
    let surface = head.compositor.surface();
    let planes = surface.planes();
    let of = |kind: &'static str| move |id: u32| PlaneNow { id, kind: kind.to_owned() };
    let primary = std::iter::once(u32::from(surface.plane())).map(of("primary"));
    let overlays = planes.overlay.iter().map(|plane| u32::from(plane.handle)).map(of("overlay"));
    let cursors = planes.cursor.iter().map(|plane| u32::from(plane.handle)).map(of("cursor"));
    let modes: Vec<_> = offered(&head.modes).into_iter().map(ModeNow::from).collect();
    OutputNow {
        modes,
        planes: primary.chain(overlays).chain(cursors).collect(),
        ..OutputNow::of(&head.output)
    }
}
