//! From windows to elements, and the news of a finished frame back to clients.

use smithay::{
    backend::renderer::{
        element::{
            RenderElement, default_primary_scanout_output_compare, memory::MemoryRenderBufferRenderElement,
            surface::WaylandSurfaceRenderElement,
        },
        pixman::PixmanRenderer,
    },
    desktop::{
        PopupManager, Space, Window,
        utils::{
            OutputPresentationFeedback, surface_primary_scanout_output,
            take_presentation_feedback_surface_tree, update_surface_primary_scanout_output,
            with_surfaces_surface_tree,
        },
    },
    output::Output,
    reexports::{
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
        wayland_server::protocol::wl_surface::WlSurface,
    },
    utils::{Logical, Physical, Point, Rectangle, Scale},
};
use tracing::debug;

use crate::{
    aims::is_to_follow,
    cursor::Cursor,
    frames::{self, Drawn, Frame, Role},
    picture::Picture,
    state::Heapwright,
    tree::window_elements,
    video::Video,
};

/// Colour of the screen where no window is.
pub const BACKGROUND: [f32; 4] = [0.10, 0.11, 0.13, 1.0];

smithay::backend::renderer::element::render_elements! {
    /// One thing to show on an output.
    pub OutputElement<=PixmanRenderer>;
    /// A client's surface.
    Surface = WaylandSurfaceRenderElement<PixmanRenderer>,
    /// What was drawn by itself: a surface that is scaled too far for where it is, the pointer for its plane.
    Picture = Picture,
    /// A client's surface with a picture of luma and chroma.
    Video = Video,
    /// The pointer's own arrow.
    Arrow = MemoryRenderBufferRenderElement<PixmanRenderer>,
}

/// The pointer's elements on `output`, front to back.
pub fn pointer_elements(
    renderer: &mut PixmanRenderer,
    space: &Space<Window>,
    cursor: &Cursor,
    pointer: Option<Point<f64, Logical>>,
    output: &Output,
) -> Vec<OutputElement> {
    let (Some(area), Some(pointer)) = (space.output_geometry(output), pointer) else { return Vec::new() };
    let scale = Scale::from(output.current_scale().fractional_scale());
    cursor.elements(renderer, pointer - area.loc.to_f64(), scale)
}

/// The elements of `output`, front to back, below those of the `pointer`.
pub fn elements(
    renderer: &mut PixmanRenderer,
    space: &Space<Window>,
    pointer: Vec<OutputElement>,
    output: &Output,
) -> Vec<OutputElement> {
    let Some(area) = space.output_geometry(output) else { return Vec::new() };
    let scale = Scale::from(output.current_scale().fractional_scale());
    let mut elements = pointer;
    let screen = Rectangle::from_size(area.size.to_physical_precise_round(scale));
    // In pixels: what is scaled by itself is memory that no client pays for.
    let mut budget = 2 * pixels(screen.size);
    for window in space.elements().rev() {
        let Some(place) = space.element_location(window) else { continue };
        // A window's place is that of its geometry; its surface may begin outside (shadows).
        let at = (place - area.loc - window.geometry().loc).to_physical_precise_round(scale);
        let drawable = window_elements(renderer, window, at, scale)
            .into_iter()
            .filter_map(|surface| drawable(renderer, surface, scale, screen, &mut budget));
        elements.extend(drawable);
    }
    elements
}

/// The picture as this renderer can draw it: pixman's limits are those of [`fits_in_fixed_point`], and one picture beyond
/// them costs Smithay 0.7 the whole frame, everybody's.
fn drawable(
    renderer: &mut PixmanRenderer,
    picture: impl RenderElement<PixmanRenderer> + Into<OutputElement>,
    scale: Scale<f64>,
    screen: Rectangle<i32, Physical>,
    budget: &mut i64,
) -> Option<OutputElement> {
    let place = picture.geometry(scale);
    let size = picture.transform().transform_size(picture.src().size);
    let fits = |place| fits_in_fixed_point(picture.src().loc.into(), size.into(), place);
    if fits(place) {
        return Some(picture.into());
    }
    let seen = !place.is_empty() && place.overlaps(screen);
    let affordable = pixels(place.size) <= *budget;
    if seen && affordable && fits(Rectangle::from_size(place.size)) {
        *budget -= pixels(place.size);
        match Picture::scaled(renderer, &picture, scale) {
            Ok(scaled) => return Some(scaled.into()),
            Err(error) => debug!(%error, ?place, "cannot be scaled by itself: not drawn"),
        }
    } else if seen {
        debug!(?place, from = ?picture.src(), affordable, "scaled further down than this renderer can: not drawn");
    }
    None
}

fn pixels(size: smithay::utils::Size<i32, Physical>) -> i64 {
    i64::from(size.w.max(0)) * i64::from(size.h.max(0))
}

/// Whether pixman can draw a part of a picture at this place: it computes places in the picture with 15 bits before the
/// point.
fn fits_in_fixed_point(from: (f64, f64), size: (f64, f64), place: Rectangle<i32, Physical>) -> bool {
    const MOST: f64 = 32_767.0;
    let axis = |from: f64, size: f64, at: i32, length: i32| {
        let scale = size / f64::from(length.max(1));
        // As translated to the place, then to the part.
        scale * f64::from(at.saturating_abs()) + size + from.abs() < MOST
    };
    // A turned picture has its axes exchanged on the way, so each must leave room for the longer side.
    let longer = size.0.max(size.1);
    let of_part = from.0.abs().max(from.1.abs());
    axis(of_part, size.0, place.loc.x, place.size.w)
        && axis(of_part, size.1, place.loc.y, place.size.h)
        && longer + of_part < MOST
}

/// Every surface that can be on a screen: windows with their popups, and a client's own pointer image.
pub(crate) fn for_each_tree(space: &Space<Window>, cursor: &Cursor, mut f: impl FnMut(&WlSurface, Role)) {
    for toplevel in space.elements().filter_map(|window| window.toplevel()) {
        f(toplevel.wl_surface(), Role::Window);
        for (popup, _) in PopupManager::popups_for_surface(toplevel.wl_surface()) {
            f(popup.wl_surface(), Role::Popup);
        }
    }
    if let Some(surface) = cursor.surface() {
        f(surface, Role::Pointer);
    }
}

impl Heapwright {
    /// Those of the trees that can be on a screen in which somebody may wait for news of a frame. It costs next to nothing
    /// where nobody does in those that lie below.
    pub(crate) fn for_each_waiting_tree(&self, mut f: impl FnMut(&WlSurface)) {
        let mut left = self.waiting.len();
        let mut found = |tree: &WlSurface, left: &mut usize| {
            if self.waiting.may_wait(tree) {
                *left = left.saturating_sub(1);
                f(tree);
            }
        };
        for toplevel in self.space.elements().rev().filter_map(|window| window.toplevel()) {
            if left == 0 {
                return;
            }
            found(toplevel.wl_surface(), &mut left);
            if left > 0 {
                for (popup, _) in PopupManager::popups_for_surface(toplevel.wl_surface()) {
                    found(popup.wl_surface(), &mut left);
                }
            }
        }
        if let Some(surface) = self.cursor.surface() {
            found(surface, &mut left);
        }
    }

    /// Where the pointer is, if there is one.
    #[must_use]
    pub fn pointer_place(&self) -> Option<Point<f64, Logical>> {
        self.seat.get_pointer().map(|pointer| pointer.current_location())
    }

    /// After drawing `output`: remembers for each surface whether and how this output shows it, and writes that down.
    /// Returns the surfaces whose planes are to be followed, each with its place in `frame`.
    pub fn remember_outputs(
        &self,
        output: &Output,
        drawn: &Drawn<'_>,
        frame: &mut Frame,
    ) -> Vec<(usize, WlSurface)> {
        let mut surfaces = Vec::new();
        for_each_tree(&self.space, &self.cursor, |tree, role| {
            with_surfaces_surface_tree(tree, |surface, data| {
                update_surface_primary_scanout_output(
                    surface,
                    output,
                    data,
                    drawn.states,
                    |now, now_state, other, other_state| {
                        // One that has gone while the surface was nowhere is remembered.
                        if self.space.outputs().any(|there| there == now) {
                            default_primary_scanout_output_compare(now, now_state, other, other_state)
                        } else {
                            other
                        }
                    },
                );
                let role = if surface == tree { role } else { Role::Subsurface };
                if !self.record((surface, data), role, output, drawn, frame) {
                    return;
                }
                let index = frame.surfaces.len() - 1;
                // Where it is shown on two outputs, one decides.
                let decides = || surface_primary_scanout_output(surface, data).as_ref() == Some(output);
                if frame.surfaces.get(index).is_some_and(|seen| is_to_follow(data, seen)) && decides() {
                    surfaces.push((index, surface.clone()));
                }
            });
        });
        surfaces
    }

    /// Takes the presentation feedback of the frame that is about to be shown, and that was written down.
    #[must_use]
    pub fn take_feedback(&self, output: &Output) -> OutputPresentationFeedback {
        let mut feedback = OutputPresentationFeedback::new(output);
        self.for_each_waiting_tree(|tree| {
            take_presentation_feedback_surface_tree(
                tree,
                &mut feedback,
                surface_primary_scanout_output,
                |_, data| match frames::before(data, output) {
                    Some(before) if before.zero_copy => Kind::ZeroCopy,
                    _ => Kind::empty(),
                },
            );
        });
        feedback
    }
}

#[cfg(test)]
mod tests {
    use smithay::{
        backend::{
            allocator::Fourcc,
            renderer::{
                Bind as _, Color32F, ExportMem as _, Frame as _, Offscreen as _, Renderer as _,
                element::{Element as _, Kind, memory::MemoryRenderBuffer},
            },
        },
        reexports::pixman::Image,
        utils::{Size, Transform},
    };

    use super::*;

    const RED: [u8; 4] = [0, 0, 255, 255];

    /// A red picture of this side, shown at a place.
    fn red(
        renderer: &mut PixmanRenderer,
        side: i32,
        at: (f64, f64),
        shown: (i32, i32),
    ) -> MemoryRenderBufferRenderElement<PixmanRenderer> {
        let pixels = RED.repeat((side * side) as usize);
        let size = (side, side);
        let buffer =
            MemoryRenderBuffer::from_slice(&pixels, Fourcc::Argb8888, size, 1, Transform::Normal, None);
        let (part, shown) = (Rectangle::from_size(Size::from(size).to_f64()), Some(Size::from(shown)));
        let kind = Kind::Unspecified;
        MemoryRenderBufferRenderElement::from_buffer(renderer, at, &buffer, None, Some(part), shown, kind)
            .unwrap()
    }

    /// The pixels of a screen of 64x64 that shows this, four bytes each.
    fn shown(renderer: &mut PixmanRenderer, element: &OutputElement) -> Vec<[u8; 4]> {
        let whole = Rectangle::from_size((64, 64).into());
        let mut image: Image<'static, 'static> =
            renderer.create_buffer(Fourcc::Argb8888, (64, 64).into()).unwrap();
        let mut target = renderer.bind(&mut image).unwrap();
        let mut frame = renderer.render(&mut target, (64, 64).into(), Transform::Normal).unwrap();
        frame.clear(Color32F::BLACK, &[whole]).unwrap();
        let place = element.geometry(Scale::from(1.0));
        let damage = [Rectangle::from_size(place.size)];
        element.draw(&mut frame, element.src(), place, &damage, &[]).unwrap();
        let _ = frame.finish().unwrap();
        let region = Rectangle::from_size((64, 64).into());
        let copy = renderer.copy_framebuffer(&target, region, Fourcc::Argb8888).unwrap();
        drop(target);
        let pixels = renderer.map_texture(&copy).unwrap();
        pixels.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect()
    }

    #[test]
    fn a_large_picture_on_few_pixels_away_from_the_corner_is_seen_where_it_is() {
        let mut renderer = PixmanRenderer::new().unwrap();
        let (scale, screen) = (Scale::from(1.0), Rectangle::from_size((64, 64).into()));
        let mut budget = 100;
        let picture = red(&mut renderer, 4096, (40.0, 30.0), (2, 3));
        let (id, commit) = (picture.id().clone(), picture.current_commit());
        let drawn = drawable(&mut renderer, picture, scale, screen, &mut budget).expect("an element");
        assert!(matches!(drawn, OutputElement::Picture(_)));
        assert_eq!(budget, 94);
        // To all who track damage and frames it is the surface.
        assert_eq!((drawn.id(), drawn.current_commit()), (&id, commit));
        assert_eq!(drawn.damage_since(scale, Some(commit)).len(), 0);
        assert_eq!(&drawn.damage_since(scale, None)[..], [Rectangle::from_size((2, 3).into())]);
        let pixels = shown(&mut renderer, &drawn);
        for (at, pixel) in pixels.iter().enumerate() {
            let inside = (40..42).contains(&(at % 64)) && (30..33).contains(&(at / 64));
            assert_eq!(*pixel == RED, inside, "{pixel:?} at {}, {}", at % 64, at / 64);
        }

        let near = red(&mut renderer, 256, (40.0, 30.0), (2, 3));
        let drawn = drawable(&mut renderer, near, scale, screen, &mut budget).expect("an element");
        assert!(matches!(drawn, OutputElement::Arrow(_)), "no detour where none is needed");
        assert_eq!(budget, 94);
    }

    #[test]
    fn what_is_not_seen_or_too_dear_is_not_scaled() {
        let mut renderer = PixmanRenderer::new().unwrap();
        let (scale, screen) = (Scale::from(1.0), Rectangle::from_size((64, 64).into()));
        for (at, mut budget) in [((70.0, 0.0), 100), ((40.0, 40.0), 5), ((-20.0, -20.0), 100)] {
            let before = budget;
            let picture = red(&mut renderer, 4096, at, (2, 3));
            assert!(drawable(&mut renderer, picture, scale, screen, &mut budget).is_none(), "{at:?}");
            assert_eq!(budget, before);
        }
    }

    #[test]
    fn what_pixman_cannot_scale_from_there_is_known() {
        let place = |x, y, w, h| Rectangle::new((x, y).into(), (w, h).into());
        for (from, size, place, fits) in [
            ((0.0, 0.0), (1920.0, 1080.0), place(0, 0, 1920, 1080), true),
            ((0.0, 0.0), (1920.0, 1080.0), place(3840, 2160, 1920, 1080), true),
            ((0.0, 0.0), (4096.0, 4096.0), place(0, 0, 1, 1), true),
            ((0.0, 0.0), (4096.0, 4096.0), place(8, 0, 1, 1), false),
            ((0.0, 0.0), (4096.0, 4096.0), place(0, -8, 1, 1), false),
            ((0.0, 0.0), (3840.0, 2160.0), place(800, 600, 384, 216), true),
            ((30000.0, 0.0), (4096.0, 16.0), place(0, 0, 64, 16), false),
            ((0.0, 0.0), (4096.0, 4096.0), place(i32::MIN, 0, 4096, 4096), false),
            ((0.0, 0.0), (0.0, 0.0), place(5, 5, 0, 0), true),
        ] {
            assert_eq!(fits_in_fixed_point(from, size, place), fits, "{from:?} {size:?} {place:?}");
        }
    }
}
