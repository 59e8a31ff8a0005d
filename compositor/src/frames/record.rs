//! A drawn frame written down, and answers made of it.

use std::{cell::RefCell, sync::Arc, time::Duration};

use smithay::{
    backend::renderer::{
        element::{
            Element as _, Id, RenderElementPresentationState as Presented, RenderElementState,
            RenderElementStates, RenderingReason,
        },
        utils::{CommitCounter, RendererSurfaceState, RendererSurfaceStateUserData},
    },
    output::{Output, WeakOutput},
    reexports::wayland_server::{
        Resource as _,
        backend::ObjectId,
        protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
    },
    utils::{Buffer, Physical, Rectangle, Scale},
    wayland::compositor::SurfaceData,
};

use super::{Facts, Frame, Kind, Known, Plane, Reason, Ring, Role, Seen, Verdict};
use crate::{
    backend::Backend,
    ipc::{FrameNow, FrameSurface, FramesNow, OutputFrames},
    render::OutputElement,
    shared_memory::Refusal,
    state::Heapwright,
    video::is_video,
};

/// A frame just drawn, before its elements are gone.
#[allow(missing_debug_implementations, reason = "the elements have none")]
pub struct Drawn<'a> {
    /// What it shows, front to back.
    pub elements: &'a [OutputElement],
    /// The output's scale.
    pub scale: Scale<f64>,
    /// What became of each element.
    pub states: &'a RenderElementStates,
    /// Where each of them lies, and whether it is composed; nobody asks where all is.
    pub places: &'a [Place],
    /// There is no display.
    pub memory: bool,
    /// The kernel's id of the primary plane.
    pub primary: u32,
    /// The pointer's element and the kernel's id of its plane, where it is on one.
    pub pointer: Option<&'a (Id, u32)>,
    /// How many overlay planes the output has.
    pub overlays: usize,
    /// Whether any plane but the cursor's takes the buffer's format and modifier.
    pub takes: &'a dyn Fn(&Known) -> bool,
    /// Why a buffer in shared memory is not lent to the output's display.
    pub not_lent: &'a dyn Fn(&WlBuffer) -> Option<Refusal>,
    /// What is on overlay planes, front to back.
    pub on_overlays: &'a [(Id, Rectangle<i32, Physical>)],
}

/// Where an element lies.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    place: Rectangle<i32, Physical>,
    composed: bool,
}

/// Where each of the elements lies, in their order.
#[must_use]
pub fn places(elements: &[OutputElement], scale: Scale<f64>, states: &RenderElementStates) -> Vec<Place> {
    let place = |element: &OutputElement| {
        let state = states.element_render_state(element.id().clone());
        let is_composed =
            |state: RenderElementState| matches!(state.presentation_state, Presented::Rendering { .. });
        Place { place: element.geometry(scale), composed: state.is_some_and(is_composed) }
    };
    elements.iter().map(place).collect()
}

/// How each output showed a surface last.
#[derive(Debug, Default)]
struct Last(RefCell<Vec<LastShown>>);

/// How one output showed a surface last.
#[derive(Debug)]
struct LastShown {
    /// Does not keep one that has gone.
    output: WeakOutput,
    verdict: Verdict,
    commit: CommitCounter,
    buffer: ObjectId,
    known: Arc<Known>,
    /// Why it was not lent when the buffer came, if that was asked.
    not_lent: Option<Option<Refusal>>,
}

/// How each output shows a surface now: those on which it is to be seen.
#[must_use]
pub fn shown(data: &SurfaceData) -> Vec<(Output, Verdict)> {
    let Some(last) = data.data_map.get::<Last>() else { return Vec::new() };
    last.0.borrow().iter().filter_map(|last| Some((last.output.upgrade()?, last.verdict))).collect()
}

/// How an output showed a surface last, for who shows it again as it was.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    /// The state of its content then.
    pub(crate) commit: CommitCounter,
    /// Its buffer then.
    pub(crate) buffer: ObjectId,
    /// Whether a plane read it.
    pub(crate) zero_copy: bool,
}

/// How `output` showed a surface last, if it was to be seen there.
#[must_use]
pub(crate) fn before(data: &SurfaceData, output: &Output) -> Option<Before> {
    let last = data.data_map.get::<Last>()?.0.borrow();
    let last = last.iter().find(|last| last.output == *output)?;
    let zero_copy = last.verdict == Verdict::ZeroCopy;
    Some(Before { commit: last.commit, buffer: last.buffer.clone(), zero_copy })
}

/// An output has gone: it shows nothing.
pub(crate) fn forget_output(data: &SurfaceData, output: &Output) {
    if let Some(last) = data.data_map.get::<Last>() {
        last.0.borrow_mut().retain(|last| last.output != *output);
    }
}

impl Drawn<'_> {
    fn is_beneath(&self, id: &Id) -> bool {
        let Some(index) = self.elements.iter().position(|element| element.id() == id) else { return false };
        let Some((above, [this, ..])) = self.places.split_at_checked(index) else { return false };
        above.iter().any(|other| other.composed && other.place.overlaps(this.place))
    }

    fn verdict(
        &self,
        id: &Id,
        known: &Known,
        not_lent: &mut dyn FnMut() -> Option<Refusal>,
        scaled: bool,
        short: &dyn Fn() -> bool,
    ) -> Option<Verdict> {
        let kind = known.kind;
        let state = self.states.element_render_state(id.clone())?;
        let refused = match state.presentation_state {
            Presented::ZeroCopy if self.is_pointer(id) => {
                return Some(Verdict::Composed(Reason::CursorPlane));
            }
            Presented::ZeroCopy => return Some(Verdict::ZeroCopy),
            Presented::Skipped => return Some(Verdict::Hidden),
            Presented::Rendering { reason } => reason,
        };
        let beneath = kind != Kind::Colour && self.is_beneath(id);
        let tried = !beneath && self.on_overlays.len() < self.overlays;
        // Of several reasons Smithay tells the first, and the cursor plane's comes first: its formats are for nobody else.
        let refused = match refused {
            Some(RenderingReason::FormatUnsupported) if (self.takes)(known) => {
                tried.then_some(RenderingReason::ScanoutFailed)
            }
            other => other,
        };
        let facts = Facts {
            kind,
            not_lent: (kind == Kind::SharedMemory).then(not_lent).flatten(),
            short: kind == Kind::DmaBuf && short(),
            screen_is_memory: self.memory,
            refused,
            scaled,
            beneath,
            overlays: self.overlays,
            taken: self.on_overlays.len(),
        };
        Some(Verdict::Composed(facts.reason()))
    }

    fn is_pointer(&self, id: &Id) -> bool {
        self.pointer.is_some_and(|(pointer, _)| pointer == id)
    }

    /// Its place in [`Drawn::on_overlays`] stands for the id of an overlay plane until the kernel is asked.
    fn plane(&self, id: &Id, verdict: Verdict) -> Option<Plane> {
        if verdict == Verdict::Composed(Reason::CursorPlane) {
            return self.pointer.map(|(_, plane)| Plane::Cursor(*plane));
        }
        if verdict != Verdict::ZeroCopy {
            return None;
        }
        let overlay = self.on_overlays.iter().position(|(other, _)| other == id);
        Some(match overlay {
            Some(index) => Plane::Overlay(u32::try_from(index).ok()),
            None => Plane::Primary(self.primary),
        })
    }
}

/// Pixels of the buffer that were damaged since; overlapping damage counts each time.
fn damaged(state: &RendererSurfaceState, since: Option<CommitCounter>) -> u64 {
    let damage = state.damage_since(since);
    let pixels = |area: &Rectangle<i32, Buffer>| {
        u64::from(area.size.w.unsigned_abs()) * u64::from(area.size.h.unsigned_abs())
    };
    damage.iter().map(pixels).fold(0, u64::saturating_add)
}

/// Whether the picture is shown at another size than it has.
fn is_scaled(state: &RendererSurfaceState, scale: Scale<f64>) -> bool {
    let Some(view) = state.view() else { return false };
    let shown = view.dst.to_f64().to_physical(scale);
    let has = view.src.size.to_physical(f64::from(state.buffer_scale()));
    (shown.w - has.w).abs() > 0.5 || (shown.h - has.h).abs() > 0.5
}

/// Puts the kernel's ids in the place of those that [`Drawn::plane`] left.
pub(crate) fn name_overlays(frame: &mut Frame, planes: &[Option<u32>]) {
    for seen in &mut frame.surfaces {
        if let Some(Plane::Overlay(plane)) = &mut seen.plane {
            let index = plane.and_then(|index| usize::try_from(index).ok());
            *plane = index.and_then(|index| planes.get(index).copied().flatten());
        }
    }
}

impl Heapwright {
    /// Writes down how `output` has drawn a surface; whether there is room for it.
    pub(crate) fn record(
        &self,
        (surface, data): (&WlSurface, &SurfaceData),
        role: Role,
        output: &Output,
        drawn: &Drawn<'_>,
        frame: &mut Frame,
    ) -> bool {
        let Some(state) = data.data_map.get::<RendererSurfaceStateUserData>() else { return false };
        let Ok(state) = state.lock() else { return false };
        let id = Id::from_wayland_resource(surface);
        data.data_map.insert_if_missing(Last::default);
        let Some(last) = data.data_map.get::<Last>() else { return false };
        let mut last = last.0.borrow_mut();
        last.retain(|last| self.space.outputs().any(|there| last.output == *there));
        let before = last.iter().position(|last| last.output == *output).map(|index| last.swap_remove(index));
        let Some(buffer) = state.buffer() else { return false };
        let since = before.as_ref().map(|last| last.commit);
        // Of a buffer that is still there, what was found out when it came.
        let (known, mut kept) = match before.filter(|last| last.buffer == buffer.id()) {
            Some(last) => (last.known, last.not_lent),
            None => match self.buffers.get(&self.display, buffer) {
                Some(known) => (known, None),
                None => return false,
            },
        };
        let mut not_lent = || *kept.get_or_insert_with(|| (drawn.not_lent)(buffer));
        let scaled = is_scaled(&state, drawn.scale);
        let short = || self.is_without_display(surface);
        let verdict = drawn.verdict(&id, &known, &mut not_lent, scaled, &short);
        let Some(verdict) = verdict else { return false };
        let damage = damaged(&state, since);
        if verdict != Verdict::Hidden {
            last.push(LastShown {
                output: output.downgrade(),
                verdict,
                commit: state.current_commit(),
                buffer: buffer.id(),
                known: Arc::clone(&known),
                not_lent: kept,
            });
        }
        let buffer = known;
        let (surface, plane) = (surface.id().protocol_id(), drawn.plane(&id, verdict));
        frame.push(Seen { surface, role, buffer, verdict, plane, damage })
    }

    /// Writes down that `output` shows a surface on the plane where it was, with the buffer that it has now: `seen` is what was
    /// written of the frame before. Whether it could be.
    pub(crate) fn record_again(&self, data: &SurfaceData, output: &Output, seen: &mut Seen) -> bool {
        let Some(state) = data.data_map.get::<RendererSurfaceStateUserData>() else { return false };
        let Ok(state) = state.lock() else { return false };
        let Some(buffer) = state.buffer() else { return false };
        let Some(last) = data.data_map.get::<Last>() else { return false };
        let mut last = last.0.borrow_mut();
        let Some(last) = last.iter_mut().find(|last| last.output == *output) else { return false };
        let Some(known) = self.buffers.get(&self.display, buffer) else { return false };
        seen.damage = damaged(&state, Some(last.commit));
        seen.buffer = Arc::clone(&known);
        last.commit = state.current_commit();
        if last.buffer != buffer.id() {
            (last.buffer, last.known, last.not_lent) = (buffer.id(), known, None);
        }
        true
    }

    /// The last frames of every output, or of one, and what clients hold.
    #[must_use]
    pub fn frames(&self, output: Option<&str>, count: usize) -> FramesNow {
        let told = |(output, ring): (&Output, &Ring)| OutputFrames {
            output: output.name(),
            refresh_millihertz: output.current_mode().map_or(0, |mode| mode.refresh.unsigned_abs()),
            frames: ring.last(count).map(tell).collect(),
        };
        let wanted = |(known, _): &(&Output, &Ring)| output.is_none_or(|name| known.name() == name);
        let mut outputs: Vec<_> = match &self.backend {
            Backend::Detached => Vec::new(),
            Backend::Headless(headless) => [headless.ring()].into_iter().filter(wanted).map(told).collect(),
            Backend::Kms(kms) => kms.rings().filter(wanted).map(told).collect(),
        };
        outputs.sort_by(|a, b| a.output.cmp(&b.output));
        FramesNow { outputs, clients: self.buffers.clients() }
    }
}

fn tell(frame: &Frame) -> FrameNow {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let surface = |seen: &Seen| FrameSurface {
        id: format!("{}.{}", seen.buffer.pid, seen.surface),
        role: seen.role.name().to_owned(),
        plane: seen.plane.map(|plane| match plane {
            Plane::Primary(id) => format!("primary {id}"),
            Plane::Cursor(id) => format!("cursor {id}"),
            Plane::Overlay(Some(id)) => format!("overlay {id}"),
            Plane::Overlay(None) => "overlay".to_owned(),
        }),
        zero_copy: seen.verdict == Verdict::ZeroCopy,
        visible: seen.verdict != Verdict::Hidden,
        why: match seen.verdict {
            Verdict::Composed(reason) => Some(reason.to_string()),
            Verdict::ZeroCopy | Verdict::Hidden => None,
        },
        converted: matches!(seen.verdict, Verdict::Composed(_)) && is_video(seen.buffer.format),
        buffer: seen.buffer.told(),
        bytes: seen.buffer.bytes,
        damage_pixels: seen.damage,
    };
    FrameNow {
        number: frame.number,
        drawn_us: micros(frame.drawn),
        presented_us: frame.presented.map(micros),
        surfaces: frame.surfaces.iter().map(surface).collect(),
        copied_bytes: frame.copied,
        flipped: frame.flipped,
        unlisted: frame.unlisted,
    }
}
