//! The pointer on a cursor plane: its picture is copied, once for each, into memory of our own that the plane reads, as
//! large as the plane wants it. Moving it then touches no pixel, and what lies below stays on its plane.
//!
//! What cannot be on the plane (too large, no memory, a refused test) is composed like anything else.

use std::error::Error;

use smithay::{
    backend::{
        allocator::{Format, Fourcc, Modifier, format::FormatSet},
        drm::PlaneInfo,
        renderer::{
            element::{Element as _, Id},
            pixman::{PixmanRenderer, PixmanTexture},
            utils::{Buffer as WaylandBuffer, CommitCounter},
        },
    },
    reexports::drm::control::{PlaneType, plane},
    utils::{Buffer, Physical, Point, Rectangle, Scale, Size},
};
use tracing::debug;

use crate::{
    memory::{Canvas, Memory, PlaneOf},
    own_buffers::OwnBuffers,
    picture::{self, Picture},
    render::OutputElement,
};

/// Pictures in memory at a time: one on the screen, one on its way there, one waiting for that, one to draw into.
const SHEETS: usize = 4;

/// What the pointer's framebuffers are said to be, and cursor planes to take, whatever both are.
///
/// Smithay compares pairs of format and modifier to find a plane for a picture. With a pair that nobody else can have,
/// no window goes where the pointer must go, and the pointer takes no plane from a window. Vendor 0 has no such modifier.
pub const POINTER: Format =
    Format { code: Fourcc::Argb8888, modifier: Modifier::Unrecognized(0x00ff_ffff_ffff_fffe) };

/// A cursor plane, and what was drawn for it.
#[derive(Debug)]
pub(super) struct CursorPlane {
    plane: plane::Handle,
    crtc: u32,
    device: String,
    memory: Memory,
    own: OwnBuffers,
    size: Size<i32, Physical>,
    sheets: Vec<Sheet>,
    next: usize,
    drawn: Option<Drawn>,
    commit: CommitCounter,
}

#[derive(Debug)]
struct Sheet {
    canvas: Canvas,
    buffer: WaylandBuffer,
}

/// The picture drawn last.
#[derive(Debug)]
struct Drawn {
    parts: Vec<Part>,
    /// Nothing where there was no memory: not tried again at every frame, but with the next picture.
    made: Option<(PixmanTexture, WaylandBuffer)>,
}

/// A part of the pointer's picture, by what makes it another picture when it changes.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    id: Id,
    commit: CommitCounter,
    from: Rectangle<f64, Buffer>,
    place: Rectangle<i32, Physical>,
}

/// Whether pictures with alpha in plain rows, which is what we draw, can be on this plane.
pub(super) fn takes_pointers(plane: &PlaneInfo) -> bool {
    let pair = |modifier| Format { code: Fourcc::Argb8888, modifier };
    plane.formats.contains(&pair(Modifier::Linear)) || plane.formats.contains(&pair(Modifier::Invalid))
}

/// The plane as one that takes the pointer, and nothing else, above all others. To Smithay it is an overlay plane: its own
/// way with cursor planes wants memory of GBM.
pub(super) fn for_pointers_only(plane: &PlaneInfo) -> PlaneInfo {
    // Where the kernel does not say, cursor planes are on top: drivers and clients are used to it.
    let zpos = plane.zpos.or(Some(i32::MAX));
    let formats = FormatSet::from_iter([POINTER]);
    PlaneInfo { type_: PlaneType::Overlay, zpos, formats, ..plane.clone() }
}

impl CursorPlane {
    /// For a plane of a CRTC of a device that `memory` knows by this name, which wants pictures of `size`.
    pub(super) fn new(
        plane: plane::Handle,
        crtc: u32,
        device: &str,
        memory: Memory,
        own: OwnBuffers,
        size: Size<u32, Buffer>,
    ) -> Self {
        CursorPlane {
            plane,
            crtc,
            device: device.to_owned(),
            memory,
            own,
            size: (size.w.min(i32::MAX as u32) as i32, size.h.min(i32::MAX as u32) as i32).into(),
            sheets: Vec::new(),
            next: 0,
            drawn: None,
            commit: CommitCounter::default(),
        }
    }

    /// The kernel's handle.
    pub(super) fn plane(&self) -> plane::Handle {
        self.plane
    }

    /// The kernel's id.
    pub(super) fn id(&self) -> u32 {
        self.plane.into()
    }

    /// The pointer as a picture for the plane; `None` where it must be composed.
    ///
    /// `elements` are what it is made of, front to back, at their places.
    pub(super) fn picture(
        &mut self,
        renderer: &mut PixmanRenderer,
        elements: &[OutputElement],
        scale: Scale<f64>,
    ) -> Option<Picture> {
        let whole = elements.iter().map(|element| element.geometry(scale)).reduce(Rectangle::merge)?;
        if whole.size.w > self.size.w || whole.size.h > self.size.h {
            return None;
        }
        let place = Rectangle::new(whole.loc, self.size);
        let parts: Vec<_> = elements.iter().map(|element| Part::of(element, scale, place.loc)).collect();
        if self.drawn.as_ref().is_none_or(|drawn| drawn.parts != parts) {
            let made = self.draw(renderer, elements, scale, place);
            let made = made.inspect_err(|error| debug!(%error, "the pointer is composed")).ok();
            self.commit.increment();
            self.drawn = Some(Drawn { parts, made });
        }
        let drawn = self.drawn.as_ref()?;
        let (texture, buffer) = drawn.made.clone()?;
        // To those who ask what became of a client's surface, the picture is that surface.
        let id = drawn.parts.first()?.id.clone();
        Some(Picture::of_pointer(texture, buffer, (id, self.commit), place))
    }

    fn draw(
        &mut self,
        renderer: &mut PixmanRenderer,
        elements: &[OutputElement],
        scale: Scale<f64>,
        place: Rectangle<i32, Physical>,
    ) -> Result<(PixmanTexture, WaylandBuffer), Box<dyn Error>> {
        let texture = picture::draw(renderer, elements, scale, place)?;
        if self.sheets.len() < SHEETS {
            let sheet = self.sheet()?;
            self.next = self.sheets.len();
            self.sheets.push(sheet);
        }
        // Taken in turn, so that no plane reads the one that is drawn into.
        let sheet = &mut self.sheets[self.next];
        sheet.canvas.draw(|image| picture::copy(renderer, &texture, image))??;
        self.next = (self.next + 1) % SHEETS;
        Ok((texture, sheet.buffer.clone()))
    }

    fn sheet(&self) -> Result<Sheet, Box<dyn Error>> {
        let plane = PlaneOf { device: &self.device, crtc: self.crtc, plane: self.id() };
        let canvas = self.memory.pointer_canvas(self.size.w as u32, self.size.h as u32, plane)?;
        let buffer = self.own.wrap(canvas.dmabuf()?)?;
        Ok(Sheet { canvas, buffer })
    }
}

impl Part {
    fn of(element: &OutputElement, scale: Scale<f64>, corner: Point<i32, Physical>) -> Self {
        let mut place = element.geometry(scale);
        place.loc -= corner;
        Part { id: element.id().clone(), commit: element.current_commit(), from: element.src(), place }
    }
}
