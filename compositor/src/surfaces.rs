//! Every surface as it is now: its memory, and how the outputs show it.

use smithay::{
    backend::renderer::utils::with_renderer_surface_state,
    desktop::{PopupManager, utils::with_surfaces_surface_tree},
    output::Output,
    reexports::wayland_server::{Resource as _, protocol::wl_surface::WlSurface},
    wayland::{compositor::with_states, shell::xdg::XdgToplevelSurfaceData},
};

use crate::{
    frames::{Verdict, shown},
    ipc::{Reply, Request, Shown, SurfaceNow},
    state::Heapwright,
};

impl Heapwright {
    /// Answers a question from outside.
    #[must_use]
    pub fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Surfaces => Reply::Surfaces(self.surfaces()),
            Request::Frames { output, last } => {
                let last = usize::try_from(last).unwrap_or(usize::MAX);
                Reply::Frames(self.frames(output.as_deref(), last))
            }
            Request::Outputs => Reply::Outputs(self.outputs()),
            Request::SetMode { output, mode } => match self.set_output_mode(&output, mode) {
                Ok(()) => Reply::Outputs(self.outputs()),
                Err(refusal) => Reply::Refused(refusal),
            },
        }
    }

    /// Every surface that has a buffer, front to back.
    #[must_use]
    pub fn surfaces(&self) -> Vec<SurfaceNow> {
        let mut found = Vec::new();
        if let Some(surface) = self.cursor.surface() {
            self.tree(surface, "pointer", &(None, None), &mut found);
        }
        for toplevel in self.space.elements().rev().filter_map(|window| window.toplevel()) {
            let surface = toplevel.wl_surface();
            let names = with_states(surface, |states| {
                let data = states.data_map.get::<XdgToplevelSurfaceData>()?.lock().ok()?;
                Some((data.app_id.clone(), data.title.clone()))
            });
            let names = names.unwrap_or_default();
            for (popup, _) in PopupManager::popups_for_surface(surface) {
                self.tree(popup.wl_surface(), "popup", &names, &mut found);
            }
            self.tree(surface, "window", &names, &mut found);
        }
        found
    }

    fn tree(
        &self,
        root: &WlSurface,
        role: &str,
        (app_id, title): &(Option<String>, Option<String>),
        found: &mut Vec<SurfaceNow>,
    ) {
        let mut surfaces = Vec::new();
        with_surfaces_surface_tree(root, |surface, data| {
            surfaces.push((surface.clone(), shown(data)));
        });
        for (surface, verdicts) in surfaces {
            let buffer = with_renderer_surface_state(&surface, |state| state.buffer().cloned()).flatten();
            let Some(buffer) = buffer.and_then(|buffer| self.buffers.get(&self.display, &buffer)) else {
                continue;
            };
            let pid = surface.client().map_or(0, |client| self.pid_of(&client));
            let role = if surface == *root { role } else { "subsurface" };
            found.push(SurfaceNow {
                id: format!("{pid}.{}", surface.id().protocol_id()),
                role: role.to_owned(),
                app_id: app_id.clone(),
                title: title.clone(),
                shown: verdicts.into_iter().map(|(output, verdict)| tell(&output, verdict)).collect(),
                buffer: buffer.told(),
            });
        }
    }
}

fn tell(output: &Output, verdict: Verdict) -> Shown {
    let why = match verdict {
        Verdict::Composed(reason) => Some(reason.to_string()),
        Verdict::ZeroCopy | Verdict::Hidden => None,
    };
    Shown { output: output.name(), zero_copy: verdict == Verdict::ZeroCopy, why }
}
