//! Frames that differ from the last one only in the buffers that planes read: told to the kernel as they are.
//!
//! Nothing is composed for such a frame, no element is made and no plane is chosen: the kernel has accepted all of it with the
//! frame before, but for the framebuffers, which are of the same formats and sizes. What it costs does not grow with what
//! else is on the screen. Anything else that changes goes Smithay's way, and so does what the kernel refuses here.

use std::{iter, time::Duration};

use smithay::{
    backend::{
        drm::{DrmDeviceFd, Framebuffer as _, PlaneDamageClips},
        renderer::{
            buffer_dimensions,
            utils::{Buffer, CommitCounter, RendererSurfaceState, RendererSurfaceStateUserData},
        },
    },
    output::Output,
    reexports::{
        drm::control::{
            AtomicCommitFlags, Device as _, atomic::AtomicModeReq, crtc, framebuffer, plane, property,
        },
        wayland_server::{Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    },
    utils::{Buffer as BufferSpace, Physical, Rectangle, Size},
    wayland::compositor::{SurfaceData, TraversalAction, with_states, with_surface_tree_downward},
};
use tracing::{debug, trace};

use super::{
    super::Backend,
    frame::take_callbacks,
    head::{Head, property_names},
};
use crate::{
    frames::{self, Frame, Verdict},
    shared_memory::{ScreenExporter, ScreenFramebuffer},
    state::Heapwright,
};

/// What the frame on the screen shows, as far as the next can differ from it here.
#[derive(Debug)]
pub(super) struct Flips {
    surfaces: Vec<OnPlane>,
    /// Asked of the kernel when the first such frame comes.
    lit: Vec<Lit>,
}

/// A surface that a plane reads.
#[derive(Debug)]
struct OnPlane {
    /// Its place in what is written down of the frame.
    index: usize,
    surface: WlSurface,
    /// Its plane's place in [`Flips::lit`], once asked.
    plane: Option<usize>,
}

/// A plane that shows something.
#[derive(Debug)]
struct Lit {
    names: Names,
    framebuffer: framebuffer::Handle,
}

/// A plane with the kernel's names of what is set here.
#[derive(Debug, Clone)]
pub(super) struct Names {
    plane: plane::Handle,
    /// `FB_ID`.
    framebuffer: property::Handle,
    /// `FB_DAMAGE_CLIPS`, where the plane makes use of it.
    clips: Option<property::Handle>,
}

/// A surface's next buffer.
struct News {
    /// The surface's place in [`Flips::surfaces`].
    at: usize,
    before: ObjectId,
    buffer: Buffer,
    framebuffer: ScreenFramebuffer,
    clips: Option<PlaneDamageClips>,
}

/// What came of a frame that was to be given so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flip {
    /// It is on its way.
    Done,
    /// There is nothing new to show.
    Nothing,
    /// It must be drawn.
    Cannot,
}

impl Names {
    /// Of all planes that may show something on the output; none where there is no atomic commit.
    fn all(head: &Head) -> Vec<Names> {
        let surface = head.compositor.surface();
        if surface.is_legacy() {
            return Vec::new();
        }
        let overlays = head.overlays.iter().map(|overlay| overlay.plane);
        let cursor = head.cursor.as_ref().map(|cursor| cursor.plane());
        let planes = iter::once(surface.plane()).chain(overlays).chain(cursor);
        let names = |plane| {
            let handle = property_names(surface, plane)?;
            Some(Names { plane, framebuffer: handle("FB_ID")?, clips: handle("FB_DAMAGE_CLIPS") })
        };
        planes.map(names).collect::<Option<_>>().unwrap_or_default()
    }
}

impl Flips {
    /// After a frame in which planes read these surfaces, each with its place in what was written down of it; if there are any.
    pub(super) fn new(surfaces: &[(usize, WlSurface)], frame: &Frame) -> Option<Self> {
        let is_read =
            |index: usize| frame.surfaces.get(index).is_some_and(|seen| seen.verdict == Verdict::ZeroCopy);
        let read = surfaces.iter().filter(|(index, _)| is_read(*index));
        let on_plane = |(index, surface): &(usize, WlSurface)| OnPlane {
            index: *index,
            surface: surface.clone(),
            plane: None,
        };
        let surfaces: Vec<_> = read.map(on_plane).collect();
        (!surfaces.is_empty()).then_some(Flips { surfaces, lit: Vec::new() })
    }

    /// Whether a commit of this surface, which changes no more than pixels of it and of those below it in the tree, leaves the
    /// screen as it is but for planes.
    pub(super) fn allow(&self, surface: &WlSurface, output: &Output) -> bool {
        let mut all = true;
        with_surface_tree_downward(
            surface,
            (),
            |_, _, ()| TraversalAction::DoChildren(()),
            |surface, data, ()| all &= self.allow_one(surface, data, output),
            |_, _, ()| true,
        );
        all
    }

    fn allow_one(&self, surface: &WlSurface, data: &SurfaceData, output: &Output) -> bool {
        if self.surfaces.iter().any(|on_plane| on_plane.surface == *surface) {
            return true;
        }
        let Some(before) = frames::before(data, output) else { return true };
        let Some(state) = data.data_map.get::<RendererSurfaceStateUserData>() else { return false };
        let Ok(state) = state.lock() else { return false };
        state.current_commit() == before.commit
            && state.buffer().is_some_and(|buffer| buffer.id() == before.buffer)
    }

    /// Which plane shows what; `None` where that can't be told.
    fn ask(&mut self, head: &mut Head, crtc: crtc::Handle) -> Option<()> {
        if !self.lit.is_empty() {
            return Some(());
        }
        if head.names.is_empty() {
            head.names = Names::all(head);
        }
        let fd = head.compositor.surface().device_fd();
        for names in &head.names {
            let plane = fd.get_plane(names.plane).ok()?;
            // Others may have lit it on theirs.
            if let (Some(framebuffer), true) = (plane.framebuffer(), plane.crtc() == Some(crtc)) {
                self.lit.push(Lit { names: names.clone(), framebuffer });
            }
        }
        let mut taken = Vec::new();
        for on_plane in &mut self.surfaces {
            let before = with_states(&on_plane.surface, |data| frames::before(data, &head.output))?;
            let made = head.exporter.framebuffers_made(&before.buffer);
            let shows = |lit: &Lit| made.iter().any(|made| *made.as_ref() == lit.framebuffer);
            let mut planes = (0..self.lit.len()).filter(|at| self.lit.get(*at).is_some_and(shows));
            // Of a buffer on two planes it can't be told which is whose.
            let (plane, None) = (planes.next()?, planes.next()) else { return None };
            if taken.contains(&plane) {
                return None;
            }
            taken.push(plane);
            on_plane.plane = Some(plane);
        }
        Some(())
    }

    /// What is new; `None` if it is more than this can show.
    fn news(&self, head: &Head) -> Option<Vec<News>> {
        let mut news = Vec::new();
        for (at, on_plane) in self.surfaces.iter().enumerate() {
            if !on_plane.surface.is_alive() {
                return None;
            }
            let lit = self.lit.get(on_plane.plane?)?;
            let one = with_states(&on_plane.surface, |data| {
                let before = frames::before(data, &head.output).filter(|before| before.zero_copy)?;
                let state = data.data_map.get::<RendererSurfaceStateUserData>()?.lock().ok()?;
                let buffer = state.buffer()?;
                if state.current_commit() == before.commit {
                    // A buffer that came without damage is Smithay's business,
                    return (buffer.id() == before.buffer).then_some(None);
                }
                let size = buffer_dimensions(buffer)?;
                if !is_seen(&state, size, before.commit) {
                    // and so is one that is damaged only where it is not seen: what was flipped must have news for it.
                    return None;
                }
                let framebuffer = framebuffer(&head.exporter, &before.buffer, buffer, lit.framebuffer)?;
                let fd = head.compositor.surface().device_fd();
                let clips = lit.names.clips.and_then(|_| clips(fd, &state, size, before.commit));
                let (before, buffer) = (before.buffer, buffer.clone());
                Some(Some(News { at, before, buffer, framebuffer, clips }))
            })?;
            news.extend(one);
        }
        Some(news)
    }

    /// Tells the kernel. Of planes that stay as they are, too: some drivers show the wrong thing when not all of them are in a
    /// commit, says Smithay.
    fn commit(&self, fd: &DrmDeviceFd, news: &[News]) -> std::io::Result<()> {
        let mut request = AtomicModeReq::new();
        for (at, lit) in self.lit.iter().enumerate() {
            let new =
                news.iter().find(|new| self.surfaces.get(new.at).is_some_and(|on| on.plane == Some(at)));
            let framebuffer = new.map_or(lit.framebuffer, |new| *new.framebuffer.as_ref());
            let value = property::Value::Framebuffer(Some(framebuffer));
            request.add_property(lit.names.plane, lit.names.framebuffer, value);
            if let (Some(clips), Some(name)) = (new.and_then(|new| new.clips.as_ref()), lit.names.clips) {
                request.add_property(lit.names.plane, name, clips.blob());
            }
        }
        fd.atomic_commit(AtomicCommitFlags::PAGE_FLIP_EVENT | AtomicCommitFlags::NONBLOCK, request)
    }
}

/// The framebuffer of `buffer` that can be where `shown`, of `before`, is.
fn framebuffer(
    exporter: &ScreenExporter,
    before: &ObjectId,
    buffer: &Buffer,
    shown: framebuffer::Handle,
) -> Option<ScreenFramebuffer> {
    let made = exporter.framebuffers(buffer);
    if buffer.id() == *before {
        return made.into_iter().find(|made| *made.as_ref() == shown);
    }
    let was = exporter.framebuffers_made(before).into_iter().find(|made| *made.as_ref() == shown)?;
    made.into_iter().find(|made| made.format() == was.format())
}

/// Whether something of the damage is seen: as Smithay finds it.
fn is_seen(state: &RendererSurfaceState, size: Size<i32, BufferSpace>, since: CommitCounter) -> bool {
    let Some(view) = state.view() else { return false };
    let (scale, transform) = (f64::from(state.buffer_scale()), state.buffer_transform());
    let place =
        |part: &Rectangle<i32, BufferSpace>| part.to_f64().to_logical(scale, transform, &size.to_f64());
    state.damage_since(Some(since)).iter().any(|part| place(part).overlaps(view.src))
}

/// The damage as a plane takes it; none if it is all of the buffer.
fn clips(
    fd: &DrmDeviceFd,
    state: &RendererSurfaceState,
    size: Size<i32, BufferSpace>,
    since: CommitCounter,
) -> Option<PlaneDamageClips> {
    let whole = Rectangle::from_size(size);
    let damage = state.damage_since(Some(since));
    if damage.iter().any(|part| part.contains_rect(whole)) {
        return None;
    }
    // Pixels of the buffer are what both sides mean.
    let pixels = |part: Rectangle<i32, BufferSpace>| {
        Rectangle::<i32, Physical>::new((part.loc.x, part.loc.y).into(), (part.size.w, part.size.h).into())
    };
    let clips =
        PlaneDamageClips::from_damage(fd, whole.to_f64(), pixels(whole), damage.iter().copied().map(pixels));
    clips.ok().flatten()
}

/// Gives the next frame of an output to the kernel, if it can be given so.
pub(super) fn flip(state: &mut Heapwright, crtc: crtc::Handle) -> Flip {
    let Backend::Kms(kms) = &mut state.backend else { return Flip::Cannot };
    if !kms.is_active() {
        return Flip::Cannot;
    }
    let Some(head) = kms.heads.get_mut(&crtc) else { return Flip::Cannot };
    // Back only when all is as it was.
    let Some(mut flips) = head.flips.take() else { return Flip::Cannot };
    if head.compositor.surface().commit_pending() || flips.ask(head, crtc).is_none() {
        return Flip::Cannot;
    }
    let Some(news) = flips.news(head) else { return Flip::Cannot };
    if news.is_empty() {
        head.flips = Some(flips);
        return Flip::Nothing;
    }
    let mut record = head.ring.again();
    if let Err(error) = flips.commit(head.compositor.surface().device_fd(), &news) {
        debug!(output = head.output.name(), %error, "another buffer on a plane is refused: drawn anew");
        head.ring.discard(record);
        return Flip::Cannot;
    }
    trace!(output = head.output.name(), planes = news.len(), "flipped");
    // Next to nothing, and the clock is not free.
    head.pace.drawn(Duration::ZERO);
    head.pace.submitted();
    let output = head.output.clone();
    let mut held = Vec::new();
    let mut surfaces = Vec::new();
    for News { at, before, buffer, framebuffer, .. } in news {
        let Some(on_plane) = flips.surfaces.get(at) else { continue };
        if let Some(lit) = on_plane.plane.and_then(|at| flips.lit.get_mut(at)) {
            lit.framebuffer = *framebuffer.as_ref();
        }
        held.push((before, (buffer.id(), (buffer, Some(framebuffer)))));
        surfaces.push((on_plane.index, on_plane.surface.clone()));
    }
    head.held.replaced(held);
    head.flips = Some(flips);
    for (index, surface) in surfaces {
        let Some(seen) = record.surfaces.get_mut(index) else { continue };
        with_states(&surface, |data| state.record_again(data, &output, seen));
    }
    let feedback = state.take_feedback(&output);
    take_callbacks(state, crtc);
    let now = state.clock.now().into();
    if let Some(head) = state.backend.head(crtc) {
        head.flipped = Some(feedback);
        head.ring.keep(record, now);
    }
    Flip::Done
}
