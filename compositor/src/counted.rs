//! Elements as they are given to a display: they count what is drawn of them (the bytes that a frame copies, whoever's
//! picture it is), and say instead of clients' buffers what stands for them.

use std::cell::{Cell, OnceCell};

use smithay::{
    backend::renderer::{
        element::{Element, Id, Kind, RenderElement, UnderlyingStorage},
        pixman::{PixmanError, PixmanFrame, PixmanRenderer},
        utils::{Buffer as WaylandBuffer, CommitCounter, DamageSet, OpaqueRegions},
    },
    utils::{Buffer, Physical, Point, Rectangle, Scale, Transform},
};

use crate::{render::OutputElement, stand_ins::StandIns};

/// Bytes of a pixel of the frames that are drawn into.
const PIXEL: u64 = 4;

/// An element, and the bytes that were drawn so far.
#[allow(missing_debug_implementations, reason = "the element has none")]
pub struct Counted<'a> {
    /// The element.
    pub element: &'a OutputElement,
    drawn: &'a Cell<u64>,
    stand_ins: Option<&'a StandIns>,
    /// Known once somebody has asked.
    stand_in: OnceCell<Option<WaylandBuffer>>,
}

/// Each of the elements with the one counter.
pub fn counted<'a>(
    elements: &'a [OutputElement],
    drawn: &'a Cell<u64>,
    stand_ins: Option<&'a StandIns>,
) -> Vec<Counted<'a>> {
    let counted = |element| Counted { element, drawn, stand_ins, stand_in: OnceCell::new() };
    elements.iter().map(counted).collect()
}

impl Counted<'_> {
    /// The buffer that is shown where a plane shows this, and whether something stands for it.
    pub fn buffer(&self, renderer: &mut PixmanRenderer) -> Option<(WaylandBuffer, bool)> {
        match self.element.underlying_storage(renderer)? {
            UnderlyingStorage::Wayland(buffer) => {
                Some((buffer.clone(), matches!(self.stand_in.get(), Some(Some(_)))))
            }
            UnderlyingStorage::Memory(_) => None,
        }
    }
}

/// Bytes written where these parts, which may overlap, of a picture of this size are drawn.
fn bytes(damage: &[Rectangle<i32, Physical>], size: Rectangle<i32, Physical>) -> u64 {
    let within = damage.iter().filter_map(|part| part.intersection(Rectangle::from_size(size.size)));
    within
        .map(|part| u64::from(part.size.w.unsigned_abs()) * u64::from(part.size.h.unsigned_abs()) * PIXEL)
        .sum()
}

impl Element for Counted<'_> {
    fn id(&self) -> &Id {
        self.element.id()
    }

    fn current_commit(&self) -> CommitCounter {
        self.element.current_commit()
    }

    fn location(&self, scale: Scale<f64>) -> Point<i32, Physical> {
        self.element.location(scale)
    }

    fn src(&self) -> Rectangle<f64, Buffer> {
        self.element.src()
    }

    fn transform(&self) -> Transform {
        self.element.transform()
    }

    fn geometry(&self, scale: Scale<f64>) -> Rectangle<i32, Physical> {
        self.element.geometry(scale)
    }

    fn damage_since(&self, scale: Scale<f64>, commit: Option<CommitCounter>) -> DamageSet<i32, Physical> {
        self.element.damage_since(scale, commit)
    }

    fn opaque_regions(&self, scale: Scale<f64>) -> OpaqueRegions<i32, Physical> {
        self.element.opaque_regions(scale)
    }

    fn alpha(&self) -> f32 {
        self.element.alpha()
    }

    fn kind(&self) -> Kind {
        self.element.kind()
    }
}

impl RenderElement<PixmanRenderer> for Counted<'_> {
    fn draw(
        &self,
        frame: &mut PixmanFrame<'_, '_>,
        src: Rectangle<f64, Buffer>,
        dst: Rectangle<i32, Physical>,
        damage: &[Rectangle<i32, Physical>],
        opaque_regions: &[Rectangle<i32, Physical>],
    ) -> Result<(), PixmanError> {
        self.drawn.set(self.drawn.get().saturating_add(bytes(damage, dst)));
        self.element.draw(frame, src, dst, damage, opaque_regions)
    }

    fn underlying_storage(&self, renderer: &mut PixmanRenderer) -> Option<UnderlyingStorage<'_>> {
        let storage = self.element.underlying_storage(renderer)?;
        let (Some(stand_ins), UnderlyingStorage::Wayland(buffer)) = (self.stand_ins, &storage) else {
            return Some(storage);
        };
        let stand_in = self.stand_in.get_or_init(|| stand_ins.of(buffer));
        Some(stand_in.as_ref().map_or(storage, UnderlyingStorage::Wayland))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_the_picture_is_not_drawn() {
        let part = |x, y, w, h| Rectangle::new((x, y).into(), (w, h).into());
        let place = part(100, 100, 10, 10);
        assert_eq!(bytes(&[part(0, 0, 10, 10)], place), 400);
        assert_eq!(bytes(&[part(8, 8, 10, 10), part(20, 0, 5, 5)], place), 16);
        assert_eq!(bytes(&[], place), 0);
    }
}
