//! Something that was drawn by itself, in memory of its own, before it is placed.
//!
//! Two need it. pixman computes places in a scaled picture with 15 bits before the point, counted from the corner of the
//! screen: a large picture on few pixels, away from that corner, needs more; from a corner of its own it does not. And the
//! pointer's picture must be as large as a cursor plane wants it, in memory that this plane reads.

use smithay::{
    backend::{
        allocator::Fourcc,
        renderer::{
            Bind as _, Color32F, Frame as _, Offscreen as _, Renderer as _, Texture as _,
            element::{Element, Id, Kind, RenderElement, UnderlyingStorage},
            pixman::{PixmanError, PixmanFrame, PixmanRenderer, PixmanTexture},
            utils::{Buffer as WaylandBuffer, CommitCounter, DamageSet},
        },
    },
    reexports::pixman::Image,
    utils::{Buffer, Physical, Point, Rectangle, Scale, Size, Transform},
};

/// A drawn picture and its place.
#[derive(Debug)]
pub struct Picture {
    texture: PixmanTexture,
    id: Id,
    commit: CommitCounter,
    kind: Kind,
    place: Rectangle<i32, Physical>,
    on_plane: Option<WaylandBuffer>,
}

/// Draws elements, the front one first, into memory as large as `area`, which is their place; the rest stays transparent.
///
/// # Errors
/// Those of the renderer: no memory, or a scale beyond it.
pub fn draw<E: RenderElement<PixmanRenderer>>(
    renderer: &mut PixmanRenderer,
    elements: &[E],
    scale: Scale<f64>,
    area: Rectangle<i32, Physical>,
) -> Result<PixmanTexture, PixmanError> {
    let size = Size::<i32, Buffer>::from((area.size.w, area.size.h));
    let mut image: Image<'static, 'static> = renderer.create_buffer(Fourcc::Argb8888, size)?;
    {
        let mut target = renderer.bind(&mut image)?;
        let mut frame = renderer.render(&mut target, area.size, Transform::Normal)?;
        frame.clear(Color32F::TRANSPARENT, &[Rectangle::from_size(area.size)])?;
        for element in elements.iter().rev() {
            let mut place = element.geometry(scale);
            place.loc -= area.loc;
            element.draw(&mut frame, element.src(), place, &[Rectangle::from_size(place.size)], &[])?;
        }
        // Drawn by the CPU: there is nothing to wait for.
        let _ = frame.finish()?;
    }
    Ok(image.into())
}

/// Copies a picture, its alpha too, into memory of the same size.
///
/// # Errors
/// Those of the renderer.
pub fn copy(
    renderer: &mut PixmanRenderer,
    from: &PixmanTexture,
    to: &mut Image<'static, 'static>,
) -> Result<(), PixmanError> {
    let size = Size::<i32, Physical>::from((from.width() as i32, from.height() as i32));
    let whole = Rectangle::from_size(size);
    let source = Rectangle::from_size((f64::from(size.w), f64::from(size.h)).into());
    let mut target = renderer.bind(to)?;
    let mut frame = renderer.render(&mut target, size, Transform::Normal)?;
    frame.clear(Color32F::TRANSPARENT, &[whole])?;
    frame.render_texture_from_to(from, source, whole, &[whole], &[], Transform::Normal, 1.0)?;
    let _ = frame.finish()?;
    Ok(())
}

impl Picture {
    /// Draws `picture` by itself, in the size that it has on an output of this scale.
    ///
    /// # Errors
    /// Those of [`draw`].
    pub fn scaled(
        renderer: &mut PixmanRenderer,
        picture: &impl RenderElement<PixmanRenderer>,
        scale: Scale<f64>,
    ) -> Result<Self, PixmanError> {
        let place = picture.geometry(scale);
        Ok(Picture {
            texture: draw(renderer, &[picture], scale, place)?,
            id: picture.id().clone(),
            commit: picture.current_commit(),
            kind: picture.kind(),
            place,
            on_plane: None,
        })
    }

    /// The pointer's: `texture` for where it is composed, `on_plane` with the same pixels for a cursor plane.
    #[must_use]
    pub fn of_pointer(
        texture: PixmanTexture,
        on_plane: WaylandBuffer,
        (id, commit): (Id, CommitCounter),
        place: Rectangle<i32, Physical>,
    ) -> Self {
        Picture { texture, id, commit, kind: Kind::Cursor, place, on_plane: Some(on_plane) }
    }
}

impl Element for Picture {
    fn id(&self) -> &Id {
        &self.id
    }

    fn current_commit(&self) -> CommitCounter {
        self.commit
    }

    fn location(&self, _scale: Scale<f64>) -> Point<i32, Physical> {
        self.place.loc
    }

    fn src(&self) -> Rectangle<f64, Buffer> {
        Rectangle::from_size((f64::from(self.place.size.w), f64::from(self.place.size.h)).into())
    }

    fn geometry(&self, _scale: Scale<f64>) -> Rectangle<i32, Physical> {
        self.place
    }

    /// All of it: a pixel here may be made of many there.
    fn damage_since(&self, _scale: Scale<f64>, commit: Option<CommitCounter>) -> DamageSet<i32, Physical> {
        if commit == Some(self.commit) {
            DamageSet::default()
        } else {
            DamageSet::from_slice(&[Rectangle::from_size(self.place.size)])
        }
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

impl RenderElement<PixmanRenderer> for Picture {
    fn draw(
        &self,
        frame: &mut PixmanFrame<'_, '_>,
        src: Rectangle<f64, Buffer>,
        dst: Rectangle<i32, Physical>,
        damage: &[Rectangle<i32, Physical>],
        opaque_regions: &[Rectangle<i32, Physical>],
    ) -> Result<(), PixmanError> {
        frame.render_texture_from_to(&self.texture, src, dst, damage, opaque_regions, Transform::Normal, 1.0)
    }

    fn underlying_storage(&self, _renderer: &mut PixmanRenderer) -> Option<UnderlyingStorage<'_>> {
        self.on_plane.as_ref().map(UnderlyingStorage::Wayland)
    }
}
