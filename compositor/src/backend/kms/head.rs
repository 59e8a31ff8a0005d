//! One CRTC with its connector, and the planes above its primary one.

use smithay::{
    backend::{
        allocator::format::FormatSet,
        drm::{DrmDeviceFd, DrmSurface, Planes, compositor::DrmCompositor},
        renderer::{element::Id, utils::Buffer},
    },
    desktop::utils::OutputPresentationFeedback,
    output::Output,
    reexports::{
        drm::control::{Device as _, Mode, connector, plane, property},
        wayland_server::{
            Resource as _,
            backend::{GlobalId, ObjectId},
            protocol::wl_surface::WlSurface,
        },
    },
    utils::{Physical, Rectangle},
};

use super::{
    super::pace::Pace,
    cursor_plane::CursorPlane,
    flip::{Flips, Names},
    held::Held,
    setback::Setback,
};
use crate::{
    callbacks::Callbacks,
    frames::{self, Lit, Ring},
    memory::ScreenAllocator,
    shared_memory::{ScreenExporter, ScreenFramebuffer},
};

type Feedback = Option<OutputPresentationFeedback>;
pub(super) type Compositor = DrmCompositor<ScreenAllocator, ScreenExporter, Feedback, DrmDeviceFd>;

/// One CRTC with its connector.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) output: Output,
    /// Told from others that the same CRTC drove before.
    pub(super) serial: u64,
    pub(super) connector: connector::Handle,
    /// What the display offers.
    pub(super) modes: Vec<Mode>,
    /// The output as clients bind it.
    pub(super) global: GlobalId,
    pub(super) compositor: Compositor,
    /// As the compositor has them.
    pub(super) exporter: ScreenExporter,
    pub(super) screen: ScreenAllocator,
    /// Where the pointer is shown, if the CRTC has a plane for it.
    pub(super) cursor: Option<CursorPlane>,
    /// The mode that it is to have as soon as there is memory for it and for its colours, if it has less.
    pub(super) wanted: Option<Mode>,
    pub(super) pace: Pace<ObjectId>,
    /// They go with the frame on its way.
    pub(super) callbacks: Callbacks,
    /// How the next frame can be given, while nothing has changed since the last but the pixels of surfaces on planes.
    pub(super) flips: Option<Flips>,
    /// The presentation feedback of the frame on its way, if it was given so: Smithay knows nothing of it.
    pub(super) flipped: Option<OutputPresentationFeedback>,
    /// Planes and properties, once needed.
    pub(super) names: Vec<Names>,
    /// Clients' buffers that planes read, and framebuffers that nobody else keeps.
    pub(super) held: Held<ObjectId, (Buffer, Option<ScreenFramebuffer>)>,
    pub(super) setback: Setback,
    /// Whether the last frame was told as scanned out directly, so that only changes are logged.
    pub(super) direct: Option<bool>,
    pub(super) ring: Ring,
    /// What any plane but the cursor's takes.
    pub(super) formats: FormatSet,
    /// Planes that can lie above the primary one, front to back.
    pub(super) overlays: Vec<Overlay>,
    /// What was on them in the frame given last, and on which.
    on_overlays: Vec<(Id, Rectangle<i32, Physical>)>,
    /// The ids of the planes that they are on.
    pub(super) overlay_ids: Vec<Option<u32>>,
}

/// A plane above the primary one, with the kernel's names of its place.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) plane: plane::Handle,
    /// `CRTC_X`, `CRTC_Y`, `CRTC_W`, `CRTC_H`.
    place: [property::Handle; 4],
}

/// What the kernel calls a plane's properties, by their names.
pub(super) fn property_names(
    surface: &DrmSurface,
    plane: plane::Handle,
) -> Option<impl Fn(&str) -> Option<property::Handle>> {
    let properties =
        surface.get_properties(plane).and_then(|set| set.as_hashmap(surface.device_fd())).ok()?;
    Some(move |name: &str| properties.get(name).map(property::Info::handle))
}

/// The planes that Smithay puts elements on, in the order in which it tries them.
fn overlays(compositor: &Compositor, planes: &Planes) -> Vec<Overlay> {
    let surface = compositor.surface();
    if surface.is_legacy() {
        return Vec::new();
    }
    let mut planes: Vec<_> =
        planes.overlay.iter().map(|plane| (plane.zpos.unwrap_or_default(), plane.handle)).collect();
    planes.sort_by_key(|(zpos, _)| std::cmp::Reverse(*zpos));
    let names = |plane: plane::Handle| {
        let handle = property_names(surface, plane)?;
        let place = [handle("CRTC_X")?, handle("CRTC_Y")?, handle("CRTC_W")?, handle("CRTC_H")?];
        Some(Overlay { plane, place })
    };
    planes.into_iter().filter_map(|(_, plane)| names(plane)).collect()
}

fn formats(compositor: &Compositor) -> FormatSet {
    let surface = compositor.surface();
    let planes = std::iter::once(surface.plane_info()).chain(&surface.planes().overlay);
    planes.flat_map(|plane| plane.formats.iter().copied()).collect()
}

impl Head {
    /// `planes` are those that `compositor` was made with, without the pointer's.
    pub(super) fn new(
        (output, global): (Output, GlobalId),
        plugged: &connector::Info,
        compositor: Compositor,
        planes: &Planes,
        (exporter, screen, cursor): (ScreenExporter, ScreenAllocator, Option<CursorPlane>),
        serial: u64,
    ) -> Self {
        Head {
            output,
            serial,
            connector: plugged.handle(),
            modes: plugged.modes().to_vec(),
            global,
            overlays: overlays(&compositor, planes),
            formats: formats(&compositor),
            compositor,
            exporter,
            screen,
            cursor,
            wanted: None,
            pace: Pace::default(),
            callbacks: Callbacks::default(),
            flips: None,
            flipped: None,
            names: Vec::new(),
            held: Held::default(),
            setback: Setback::default(),
            direct: None,
            ring: Ring::default(),
            on_overlays: Vec::new(),
            overlay_ids: Vec::new(),
        }
    }

    /// Anything may have changed. Returns whether a draw must be queued now.
    #[must_use]
    pub(super) fn changed(&mut self) -> bool {
        self.flips = None;
        self.pace.changed()
    }

    /// A commit of this surface may have changed anything; with `only_pixels`, its pixels and nothing else. Returns whether a
    /// draw must be queued now.
    #[must_use]
    pub(super) fn committed(&mut self, surface: &WlSurface, only_pixels: bool) -> bool {
        self.flips.take_if(|flips| !(only_pixels && flips.allow(surface, &self.output)));
        self.pace.committed(&surface.id())
    }

    /// Asks the kernel which plane shows what, if that is not what it was: Smithay does not say.
    pub(super) fn name_overlays(&mut self, on_overlays: Vec<(Id, Rectangle<i32, Physical>)>) {
        if on_overlays == self.on_overlays {
            return;
        }
        let lit: Vec<_> = match on_overlays.is_empty() {
            true => Vec::new(),
            false => self.overlays.iter().filter_map(|overlay| self.lit(overlay)).collect(),
        };
        let places: Vec<_> = on_overlays.iter().map(|(_, place)| *place).collect();
        self.overlay_ids = frames::assign(&places, &lit);
        self.on_overlays = on_overlays;
    }

    fn lit(&self, overlay: &Overlay) -> Option<Lit> {
        let values = self.compositor.surface().get_properties(overlay.plane).ok()?;
        let value = |wanted: property::Handle| {
            let (_, value) = values.iter().find(|(handle, _)| **handle == wanted)?;
            // Signed, in 64 bits of which DRM uses 32.
            i32::try_from(*value as i64).ok()
        };
        let [x, y, width, height] = overlay.place.map(value);
        let place = Rectangle::new((x?, y?).into(), (width?, height?).into());
        (!place.is_empty()).then(|| Lit { plane: overlay.plane.into(), place })
    }
}
