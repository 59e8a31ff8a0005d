//! What the guards remember of a client's objects, where Smithay keeps its own memory to itself.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use smithay::reexports::{
    wayland_protocols::xdg::shell::server::{
        xdg_positioner::XdgPositioner, xdg_surface::XdgSurface, xdg_wm_base::XdgWmBase,
    },
    wayland_server::{Client, Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
};

use crate::client::ClientState;

/// The records of one client, as part of its [`ClientState`].
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Records>);

/// What is remembered of one client's objects.
#[derive(Debug, Default)]
pub(super) struct Records {
    xdg_surfaces: HashMap<ObjectId, XdgSurfaceRecord>,
    /// The `xdg_surface` of a `wl_surface`.
    shells: HashMap<ObjectId, ObjectId>,
    /// The `xdg_surface` of an `xdg_toplevel` or `xdg_popup`.
    roles: HashMap<ObjectId, ObjectId>,
    /// What has been set of each `xdg_positioner`.
    pub positioners: HashMap<ObjectId, Positioner>,
    /// Number of rectangles, by `wl_region`.
    pub regions: HashMap<ObjectId, usize>,
    /// The `wl_surface` of each `wp_viewport`, and the other way round.
    viewports: HashMap<ObjectId, ObjectId>,
    /// Live `wl_subsurface`s.
    pub subsurfaces: usize,
}

/// An `xdg_surface`.
#[derive(Debug, Clone)]
pub(super) struct XdgSurfaceRecord {
    pub xdg_surface: XdgSurface,
    pub wl_surface: WlSurface,
    pub wm_base: XdgWmBase,
    /// It has a live `xdg_toplevel` or `xdg_popup`.
    pub constructed: bool,
}

/// What has been set of a positioner.
#[derive(Debug, Default, Copy, Clone)]
pub(super) struct Positioner {
    pub size: bool,
    pub anchor: bool,
}

impl Records {
    /// Takes note of a new `xdg_surface`.
    pub fn add_xdg_surface(&mut self, record: XdgSurfaceRecord) {
        self.shells.insert(record.wl_surface.id(), record.xdg_surface.id());
        self.xdg_surfaces.insert(record.xdg_surface.id(), record);
    }

    /// Forgets an `xdg_surface`.
    pub fn remove_xdg_surface(&mut self, xdg_surface: &XdgSurface) {
        if let Some(record) = self.xdg_surfaces.remove(&xdg_surface.id()) {
            self.shells.remove(&record.wl_surface.id());
        }
    }

    /// An `xdg_surface`.
    pub fn xdg_surface(&self, xdg_surface: &XdgSurface) -> Option<&XdgSurfaceRecord> {
        self.xdg_surfaces.get(&xdg_surface.id())
    }

    /// The `xdg_surface` of a surface.
    pub fn shell_of(&self, surface: &WlSurface) -> Option<&XdgSurfaceRecord> {
        self.xdg_surfaces.get(self.shells.get(&surface.id())?)
    }

    /// Takes note of the toplevel or popup that `xdg_surface` has now.
    pub fn construct(&mut self, xdg_surface: &XdgSurface, role: ObjectId) {
        if let Some(record) = self.xdg_surfaces.get_mut(&xdg_surface.id()) {
            record.constructed = true;
            self.roles.insert(role, xdg_surface.id());
        }
    }

    /// Forgets a toplevel or popup.
    pub fn deconstruct(&mut self, role: &ObjectId) {
        if let Some(record) = self.roles.remove(role).and_then(|id| self.xdg_surfaces.get_mut(&id)) {
            record.constructed = false;
        }
    }

    /// The `xdg_surface` of a toplevel or popup.
    pub fn shell_of_role(&self, role: &ObjectId) -> Option<&XdgSurfaceRecord> {
        self.xdg_surfaces.get(self.roles.get(role)?)
    }

    /// Takes note of a viewport.
    pub fn add_viewport(&mut self, viewport: ObjectId, surface: ObjectId) {
        self.viewports.insert(viewport.clone(), surface.clone());
        self.viewports.insert(surface, viewport);
    }

    /// Forgets a viewport.
    pub fn remove_viewport(&mut self, viewport: &ObjectId) {
        if let Some(surface) = self.viewports.remove(viewport) {
            self.viewports.remove(&surface);
        }
    }

    /// Whether a surface has a viewport.
    pub fn has_viewport(&self, surface: &WlSurface) -> bool {
        self.viewports.contains_key(&surface.id())
    }

    /// Whether a positioner has a size and an anchor rectangle.
    pub fn is_complete(&self, positioner: &XdgPositioner) -> bool {
        self.positioners.get(&positioner.id()).is_some_and(|set| set.size && set.anchor)
    }
}

/// The records of `client`.
pub(super) fn records(client: &Client) -> MutexGuard<'_, Records> {
    // Clients that have no state of ours share one ledger: objects' names are unique among all clients.
    static OTHERS: LazyLock<Ledger> = LazyLock::new(Ledger::default);
    let ledger = client.get_data::<ClientState>().map_or(&*OTHERS, |state| &state.guard);
    ledger.0.lock().unwrap_or_else(PoisonError::into_inner)
}
