//! The global, the feedback objects, and who has been told what.

use std::collections::HashMap;
use std::sync::Arc;

use heapwright_protocols::linux_dmabuf::server::zwp_linux_buffer_params_v1::ZwpLinuxBufferParamsV1;
use heapwright_protocols::linux_dmabuf::server::zwp_linux_dmabuf_feedback_v1::{
    self, ZwpLinuxDmabufFeedbackV1,
};
use heapwright_protocols::linux_dmabuf::server::zwp_linux_dmabuf_v1::{Request, ZwpLinuxDmabufV1};
use smithay::reexports::wayland_server::backend::{ClientId, GlobalId, ObjectId};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, Weak,
};

use heapwright_alloc::constraints::Modifier;

use super::file::{DmabufCheck, is_dmabuf};
use super::quota::FdQuota;
use super::validate::Offer;
use super::{DmabufHandler, Feedback, ParamsData};

/// The newest version that can be offered.
pub const NEWEST: u32 = 6;
/// The first version with feedback objects; from then on formats are not told at bind.
const FEEDBACK_SINCE: u32 = 4;
/// The first version with modifiers.
const MODIFIER_SINCE: u32 = 3;
/// Surfaces that may have died unnoticed before the first look for them.
const PRUNE_AT_LEAST: usize = 64;

/// User data of the global and of the objects bound to it.
#[derive(Debug, Clone, Copy)]
pub struct DmabufGlobalData(());

/// User data of a feedback object: the surface it tells about, or none for the default feedback.
#[derive(Debug, Clone)]
pub struct FeedbackObjectData {
    surface: Option<ObjectId>,
}

type Objects = HashMap<ObjectId, ZwpLinuxDmabufFeedbackV1>;

/// One surface that has a feedback of its own, or a client listening to it.
#[derive(Debug)]
struct SurfaceEntry {
    surface: Weak<WlSurface>,
    own: Option<Arc<Feedback>>,
    objects: Objects,
}

/// The linux-dmabuf global and everything that hangs on it.
#[derive(Debug)]
pub struct DmabufGlobalState {
    global: GlobalId,
    default: Arc<Feedback>,
    default_objects: Objects,
    surfaces: HashMap<ObjectId, SurfaceEntry>,
    prune_at: usize,
    pub(super) offer: Offer,
    pub(super) quota: FdQuota,
    pub(super) dmabuf_check: DmabufCheck,
    tries_imports: bool,
}

impl DmabufGlobalState {
    /// Offers the global to all clients, in a version up to [`NEWEST`].
    pub fn new<D>(display: &DisplayHandle, default: Feedback, version: u32) -> Self
    where
        D: GlobalDispatch<ZwpLinuxDmabufV1, DmabufGlobalData> + 'static,
    {
        let version = version.clamp(1, NEWEST);
        let mut offer = Offer::default();
        offer.extend(default.pairs());
        Self {
            global: display.create_global::<D, ZwpLinuxDmabufV1, _>(version, DmabufGlobalData(())),
            default: Arc::new(default),
            default_objects: HashMap::new(),
            surfaces: HashMap::new(),
            prune_at: PRUNE_AT_LEAST,
            offer,
            quota: FdQuota::of_process(),
            dmabuf_check: is_dmabuf,
            tries_imports: true,
        }
    }

    /// The global, for those who want to withdraw it.
    pub fn global(&self) -> GlobalId {
        self.global.clone()
    }

    /// The current default feedback.
    pub fn default_feedback(&self) -> &Arc<Feedback> {
        &self.default
    }

    /// What this surface's client is told: its own feedback, or the default one.
    pub fn feedback_of(&self, surface: &WlSurface) -> &Arc<Feedback> {
        let own = self.surfaces.get(&surface.id()).and_then(|entry| entry.own.as_ref());
        own.unwrap_or(&self.default)
    }

    /// Replaces how files are recognised as dma-bufs, for tests on machines that have none.
    pub fn set_dmabuf_check(&mut self, check: DmabufCheck) {
        self.dmabuf_check = check;
    }

    /// Whether a buffer is to be tried by the renderer before it is taken. Not where a test has only what passes for one.
    #[must_use]
    pub fn tries_imports(&self) -> bool {
        self.tries_imports
    }

    /// See [`Self::tries_imports`].
    pub fn set_tries_imports(&mut self, tries: bool) {
        self.tries_imports = tries;
    }

    /// Replaces the number of dma-buf planes that one client may hold.
    pub fn set_plane_quota(&mut self, planes: usize) {
        self.quota = FdQuota::new(planes);
    }

    /// Dma-buf planes that this client holds.
    pub fn planes_held(&self, client: &ClientId) -> usize {
        self.quota.held(client)
    }

    /// Changes the default, for every default feedback object and every surface without a feedback of its own.
    /// Nothing is sent when it is equal to the one before.
    pub fn set_default_feedback(&mut self, feedback: Feedback) {
        if *self.default == feedback {
            return;
        }
        self.offer.extend(feedback.pairs());
        self.default = Arc::new(feedback);
        tell(&self.default, &self.default_objects);
        for entry in self.surfaces.values() {
            if entry.own.is_none() && entry.surface.upgrade().is_ok() {
                tell(&self.default, &entry.objects);
            }
        }
    }

    /// Gives a surface its own feedback, or with `None` the default one. It may come before the client asks for it.
    /// Nothing is sent when the surface's client would learn nothing new.
    pub fn set_surface_feedback(&mut self, surface: &WlSurface, feedback: Option<Arc<Feedback>>) {
        if !surface.is_alive() || (feedback.is_none() && !self.surfaces.contains_key(&surface.id())) {
            return;
        }
        if let Some(feedback) = &feedback {
            self.offer.extend(feedback.pairs());
        }
        let before = self.feedback_of(surface).clone();
        let after = feedback.clone().unwrap_or_else(|| self.default.clone());
        let entry = self.entry(surface);
        entry.own = feedback;
        if *before != *after {
            tell(&after, &entry.objects);
        }
        self.forget_if_idle(&surface.id());
    }

    /// Forgets a surface: to be called when it is destroyed. Its feedback objects stay, inert.
    pub fn surface_destroyed(&mut self, surface: &WlSurface) {
        self.surfaces.remove(&surface.id());
    }

    fn entry(&mut self, surface: &WlSurface) -> &mut SurfaceEntry {
        if self.surfaces.len() >= self.prune_at {
            self.surfaces.retain(|_, entry| entry.surface.upgrade().is_ok());
            self.prune_at = (self.surfaces.len() * 2).max(PRUNE_AT_LEAST);
        }
        self.surfaces.entry(surface.id()).or_insert_with(|| SurfaceEntry {
            surface: surface.downgrade(),
            own: None,
            objects: HashMap::new(),
        })
    }

    fn forget_if_idle(&mut self, surface: &ObjectId) {
        if self.surfaces.get(surface).is_some_and(|entry| entry.own.is_none() && entry.objects.is_empty()) {
            self.surfaces.remove(surface);
        }
    }

    fn add_object(&mut self, object: ZwpLinuxDmabufFeedbackV1, surface: Option<&WlSurface>) {
        match surface {
            Some(surface) => {
                self.feedback_of(surface).send(&object);
                self.entry(surface).objects.insert(object.id(), object);
            }
            None => {
                self.default.send(&object);
                self.default_objects.insert(object.id(), object);
            }
        }
    }

    fn remove_object(&mut self, object: &ObjectId, surface: Option<&ObjectId>) {
        let Some(surface) = surface else {
            self.default_objects.remove(object);
            return;
        };
        if let Some(entry) = self.surfaces.get_mut(surface) {
            entry.objects.remove(object);
        }
        self.forget_if_idle(surface);
    }
}

fn tell(feedback: &Feedback, objects: &Objects) {
    for object in objects.values() {
        feedback.send(object);
    }
}

impl<D> GlobalDispatch<ZwpLinuxDmabufV1, DmabufGlobalData, D> for DmabufGlobalState
where
    D: GlobalDispatch<ZwpLinuxDmabufV1, DmabufGlobalData>
        + Dispatch<ZwpLinuxDmabufV1, DmabufGlobalData>
        + DmabufHandler
        + 'static,
{
    fn bind(
        state: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<ZwpLinuxDmabufV1>,
        data: &DmabufGlobalData,
        data_init: &mut DataInit<'_, D>,
    ) {
        let global = data_init.init(resource, *data);
        if global.version() >= FEEDBACK_SINCE {
            return;
        }
        let pairs = state.dmabuf_state().default.plain_pairs();
        if global.version() >= MODIFIER_SINCE {
            for (format, Modifier(modifier)) in pairs {
                global.modifier(format.0, (modifier >> 32) as u32, (modifier & 0xffff_ffff) as u32);
            }
            return;
        }
        let mut told = std::collections::HashSet::new();
        for (format, modifier) in pairs {
            if (modifier == Modifier::INVALID || modifier == Modifier::LINEAR) && told.insert(format) {
                global.format(format.0);
            }
        }
    }
}

impl<D> Dispatch<ZwpLinuxDmabufV1, DmabufGlobalData, D> for DmabufGlobalState
where
    D: Dispatch<ZwpLinuxDmabufV1, DmabufGlobalData>
        + Dispatch<ZwpLinuxBufferParamsV1, ParamsData>
        + Dispatch<ZwpLinuxDmabufFeedbackV1, FeedbackObjectData>
        + DmabufHandler
        + 'static,
{
    fn request(
        state: &mut D,
        _: &Client,
        _: &ZwpLinuxDmabufV1,
        request: Request,
        _: &DmabufGlobalData,
        _: &DisplayHandle,
        data_init: &mut DataInit<'_, D>,
    ) {
        match request {
            Request::CreateParams { params_id } => {
                data_init.init(params_id, ParamsData::default());
            }
            Request::GetDefaultFeedback { id } => {
                let object = data_init.init(id, FeedbackObjectData { surface: None });
                state.dmabuf_state().add_object(object, None);
            }
            Request::GetSurfaceFeedback { id, surface } => {
                let object = data_init.init(id, FeedbackObjectData { surface: Some(surface.id()) });
                let unset =
                    state.dmabuf_state().surfaces.get(&surface.id()).is_none_or(|entry| entry.own.is_none());
                if unset {
                    let feedback = state.surface_feedback(&surface);
                    state.dmabuf_state().set_surface_feedback(&surface, feedback);
                }
                state.dmabuf_state().add_object(object, Some(&surface));
            }
            // `destroy` leaves everything that was made through this object in place.
            _ => {}
        }
    }
}

impl<D> Dispatch<ZwpLinuxDmabufFeedbackV1, FeedbackObjectData, D> for DmabufGlobalState
where
    D: Dispatch<ZwpLinuxDmabufFeedbackV1, FeedbackObjectData> + DmabufHandler + 'static,
{
    fn request(
        _: &mut D,
        _: &Client,
        _: &ZwpLinuxDmabufFeedbackV1,
        _: zwp_linux_dmabuf_feedback_v1::Request,
        _: &FeedbackObjectData,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        // The only request is `destroy`, dealt with in `destroyed`.
    }

    fn destroyed(state: &mut D, _: ClientId, object: &ZwpLinuxDmabufFeedbackV1, data: &FeedbackObjectData) {
        state.dmabuf_state().remove_object(&object.id(), data.surface.as_ref());
    }
}
