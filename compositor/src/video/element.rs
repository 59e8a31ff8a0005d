//! A surface with video, as an element: to planes, damage and feedback it is the surface, to the renderer its converted
//! picture.

use std::rc::Rc;

use smithay::{
    backend::renderer::{
        Color32F, Frame as _, buffer_dimensions,
        element::{Element, Id, Kind, RenderElement, UnderlyingStorage},
        pixman::{PixmanError, PixmanFrame, PixmanRenderer},
        utils::{
            Buffer as HeldBuffer, CommitCounter, DamageSet, DamageSnapshot, OpaqueRegions,
            RendererSurfaceState, SurfaceView,
        },
    },
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::{Buffer, Physical, Point, Rectangle, Scale, Size, Transform},
    wayland::compositor::SurfaceData,
};
use tracing::debug;

use super::{converted::SharedConverted, dmabuf_of};

/// A surface whose picture is one of luma and chroma.
#[derive(Debug)]
pub struct Video {
    id: Id,
    location: Point<f64, Physical>,
    view: SurfaceView,
    buffer: HeldBuffer,
    dimensions: Size<i32, Buffer>,
    scale: i32,
    transform: Transform,
    damage: DamageSnapshot<i32, Buffer>,
    kind: Kind,
    converted: SharedConverted,
}

impl Video {
    /// The surface at a place, if it shows video now.
    #[must_use]
    pub fn new(
        surface: &WlSurface,
        data: &SurfaceData,
        state: &RendererSurfaceState,
        location: Point<f64, Physical>,
        kind: Kind,
    ) -> Option<Self> {
        let buffer = state.buffer().filter(|buffer| dmabuf_of(buffer).is_some())?.clone();
        Some(Video {
            id: Id::from_wayland_resource(surface),
            location,
            view: state.view()?,
            dimensions: buffer_dimensions(&buffer)?,
            buffer,
            scale: state.buffer_scale(),
            transform: state.buffer_transform(),
            damage: state.damage(),
            kind,
            converted: Rc::clone(data.data_map.get_or_insert(SharedConverted::default)),
        })
    }

    fn size(&self, scale: Scale<f64>) -> Size<i32, Physical> {
        let end = self.view.dst.to_f64().to_physical(scale).to_point() + self.location;
        (end.to_i32_round() - self.location.to_i32_round()).to_size()
    }
}

impl Element for Video {
    fn id(&self) -> &Id {
        &self.id
    }

    fn current_commit(&self) -> CommitCounter {
        self.damage.current_commit()
    }

    fn geometry(&self, scale: Scale<f64>) -> Rectangle<i32, Physical> {
        Rectangle::new(self.location.to_i32_round(), self.size(scale))
    }

    fn src(&self) -> Rectangle<f64, Buffer> {
        let size = self.dimensions.to_logical(self.scale, self.transform);
        self.view.src.to_buffer(f64::from(self.scale), self.transform, &size.to_f64())
    }

    fn transform(&self) -> Transform {
        self.transform
    }

    /// All of it with each commit: pictures of a video seldom have anything in common.
    fn damage_since(&self, scale: Scale<f64>, commit: Option<CommitCounter>) -> DamageSet<i32, Physical> {
        if commit == Some(self.current_commit()) {
            DamageSet::default()
        } else {
            DamageSet::from_slice(&[Rectangle::from_size(self.size(scale))])
        }
    }

    /// All of it: there is no alpha.
    fn opaque_regions(&self, scale: Scale<f64>) -> OpaqueRegions<i32, Physical> {
        OpaqueRegions::from_slice(&[Rectangle::from_size(self.size(scale))])
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

impl RenderElement<PixmanRenderer> for Video {
    fn underlying_storage(&self, _renderer: &mut PixmanRenderer) -> Option<UnderlyingStorage<'_>> {
        Some(UnderlyingStorage::Wayland(&self.buffer))
    }

    fn draw(
        &self,
        frame: &mut PixmanFrame<'_, '_>,
        src: Rectangle<f64, Buffer>,
        dst: Rectangle<i32, Physical>,
        damage: &[Rectangle<i32, Physical>],
        opaque_regions: &[Rectangle<i32, Physical>],
    ) -> Result<(), PixmanError> {
        let Some(dmabuf) = dmabuf_of(&self.buffer) else { return Ok(()) };
        let texture = self.converted.borrow_mut().texture(dmabuf, self.current_commit());
        match texture {
            Ok(texture) => {
                frame.render_texture_from_to(&texture, src, dst, damage, opaque_regions, self.transform, 1.0)
            }
            Err(error) => {
                // Others share this frame: it is not given up for one picture.
                debug!(%error, "video is shown as black");
                frame.draw_solid(dst, damage, Color32F::BLACK)
            }
        }
    }
}
