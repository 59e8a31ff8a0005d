//! A picture that is scaled in a buffer of its own before it is placed.
//!
//! pixman computes places in a scaled picture with 15 bits before the point, counted from the corner of the screen: a large
//! picture on few pixels, away from that corner, needs more. From a corner of its own it does not.

use smithay::{
    backend::{
        allocator::Fourcc,
        renderer::{
            Bind as _, Color32F, Frame as _, Offscreen as _, Renderer as _,
            element::{Element, Id, Kind, RenderElement},
            pixman::{PixmanError, PixmanFrame, PixmanRenderer, PixmanTexture},
            utils::{CommitCounter, DamageSet},
        },
    },
    reexports::pixman::Image,
    utils::{Buffer, Physical, Point, Rectangle, Scale, Size, Transform},
};

/// A surface's picture, as large as it is shown.
#[derive(Debug)]
pub struct Prescaled {
    texture: PixmanTexture,
    id: Id,
    commit: CommitCounter,
    kind: Kind,
    place: Rectangle<i32, Physical>,
}

impl Prescaled {
    /// Draws `picture` by itself, in the size that it has on an output of this scale.
    ///
    /// # Errors
    /// Those of the renderer: no memory, or it cannot scale that far even so.
    pub fn new(
        renderer: &mut PixmanRenderer,
        picture: &impl RenderElement<PixmanRenderer>,
        scale: Scale<f64>,
    ) -> Result<Self, PixmanError> {
        let place = picture.geometry(scale);
        let size = Size::<i32, Buffer>::from((place.size.w, place.size.h));
        let mut image: Image<'static, 'static> = renderer.create_buffer(Fourcc::Argb8888, size)?;
        {
            let whole = Rectangle::from_size(place.size);
            let mut target = renderer.bind(&mut image)?;
            let mut frame = renderer.render(&mut target, place.size, Transform::Normal)?;
            frame.clear(Color32F::TRANSPARENT, &[whole])?;
            picture.draw(&mut frame, picture.src(), whole, &[whole], &[])?;
            // Drawn by the CPU: there is nothing to wait for.
            let _ = frame.finish()?;
        }
        Ok(Prescaled {
            texture: image.into(),
            id: picture.id().clone(),
            commit: picture.current_commit(),
            kind: picture.kind(),
            place,
        })
    }
}

impl Element for Prescaled {
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

    /// All of it: a pixel here is made of many there.
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

impl RenderElement<PixmanRenderer> for Prescaled {
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
}
