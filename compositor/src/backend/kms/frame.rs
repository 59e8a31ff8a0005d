//! One frame: drawn, given to the kernel, shown.

use std::{cell::Cell, time::Duration};

use heapwright_alloc::constraints::Size;
use smithay::{
    backend::{
        allocator::{Format, Fourcc, Modifier},
        drm::{
            DrmEventMetadata, DrmEventTime,
            compositor::{FrameError, FrameFlags, PrimaryPlaneElement, RenderFrameError},
        },
        renderer::element::Element as _,
    },
    output::Output,
    reexports::{
        calloop::timer::TimeoutAction, drm::control::crtc,
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
        wayland_server::Resource as _,
    },
    utils::{Monotonic, Scale, Time},
    wayland::presentation::Refresh,
};
use tracing::{debug, info, warn};

use super::{
    super::Backend,
    card,
    flip::{Flip, Flips, flip},
    setback::Reason,
};
use crate::{
    counted::counted,
    frames::{self, Drawn, Known},
    own_buffers::OwnBuffers,
    render::{self, BACKGROUND, OutputElement},
    state::Heapwright,
};

/// Submits what changed on one output: drawn, or where it is but other buffers on planes, as it is.
pub(super) fn draw(state: &mut Heapwright, crtc: crtc::Handle) {
    let Heapwright { backend, clock, .. } = state;
    if !backend.head(crtc).is_some_and(|head| head.pace.draws_now(|| clock.now().into())) {
        return;
    }
    match flip(state, crtc) {
        Flip::Done => {}
        Flip::Nothing => {
            let Some(head) = state.backend.head(crtc) else { return };
            let output = head.output.clone();
            at_next_refresh(state, crtc, &output);
        }
        Flip::Cannot => compose(state, crtc),
    }
}

/// Draws what changed on one output and submits it.
fn compose(state: &mut Heapwright, crtc: crtc::Handle) {
    let pointer = state.pointer_place();
    let began: Duration = state.clock.now().into();
    let Heapwright { backend: Backend::Kms(kms), space, cursor, .. } = state else { return };
    let kms = &mut **kms;
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    head.flips = None;
    let output = head.output.clone();
    let scale = Scale::from(output.current_scale().fractional_scale());
    let mut pointer = render::pointer_elements(&mut kms.renderer, space, cursor, pointer, &output);
    let cursor_plane = head.cursor.as_mut();
    if let Some(picture) = cursor_plane.and_then(|plane| plane.picture(&mut kms.renderer, &pointer, scale)) {
        pointer = vec![picture.into()];
    }
    let elements = render::elements(&mut kms.renderer, space, pointer, &output);
    // Any format may go to the primary plane: TEST_ONLY decides, not a guess.
    let flags = match head.compositor.surface().commit_pending() {
        false => FrameFlags::DEFAULT | FrameFlags::ALLOW_PRIMARY_PLANE_SCANOUT_ANY,
        // Smithay's tests do not allow for the mode that this frame sets: each would fail, and be remembered.
        true => FrameFlags::empty(),
    };
    let copied = Cell::new(0);
    let counted = counted(&elements, &copied, kms.stand_ins.as_ref());
    let frame = match head.compositor.render_frame(&mut kms.renderer, &counted, BACKGROUND, flags) {
        Ok(frame) => frame,
        Err(error) => {
            let reason = match &error {
                RenderFrameError::PrepareFrame(FrameError::Allocator(_)) => Reason::Memory,
                _ => Reason::Refused,
            };
            let why = error.to_string();
            retry(state, crtc, reason, &why);
            return;
        }
    };
    if let PrimaryPlaneElement::Swapchain(element) = &frame.primary_element {
        if let Err(error) = element.sync.wait() {
            debug!(%error, "waiting for the renderer");
        }
    }
    let direct = matches!(frame.primary_element, PrimaryPlaneElement::Element(_));
    let is_empty = frame.is_empty;
    let place = |element: &OutputElement| (element.id().clone(), element.geometry(scale));
    // Only the pointer goes to the cursor plane, and nowhere else.
    let on_planes = frame.overlay_elements.iter().map(|counted| counted.element);
    let (pointer, on_overlays): (Vec<&OutputElement>, Vec<_>) =
        on_planes.partition(|element| matches!(element, OutputElement::Picture(_)));
    let pointer =
        pointer.first().and_then(|element| Some((element.id().clone(), head.cursor.as_ref()?.id())));
    let on_overlays: Vec<_> = on_overlays.into_iter().map(place).collect();
    let mut read = Vec::new();
    // Whether Smithay holds none of clients' buffers.
    let mut stood_for = true;
    let on_primary = match &frame.primary_element {
        PrimaryPlaneElement::Element(element) => Some(*element),
        PrimaryPlaneElement::Swapchain(_) => None,
    };
    for counted in frame.overlay_elements.iter().copied().chain(on_primary) {
        if let Some((buffer, has_stand_in)) = counted.buffer(&mut kms.renderer) {
            stood_for &= has_stand_in || OwnBuffers::made(&buffer);
            read.push((buffer.id(), (buffer, None)));
        }
    }
    let states = frame.states;
    if head.direct != Some(direct) && !is_empty {
        head.direct = Some(direct);
        info!(
            output = output.name(),
            direct, "frames of the primary plane: a client's own buffer, or composed"
        );
    }
    let mut record = head.ring.begin();
    record.copied = copied.get();
    let exporter = head.exporter.clone();
    let not_lent = |buffer: &_| exporter.refusal(buffer);
    let formats = head.formats.clone();
    let takes = |known: &Known| {
        let modifier = Modifier::from(known.modifier.0);
        Fourcc::try_from(known.format).is_ok_and(|code| formats.contains(&Format { code, modifier }))
    };
    let drawn = Drawn {
        elements: &elements,
        scale,
        states: &states,
        places: &frames::places(&elements, scale, &states),
        memory: false,
        primary: head.compositor.plane().into(),
        pointer: pointer.as_ref(),
        overlays: head.overlays.len(),
        takes: &takes,
        not_lent: &not_lent,
        on_overlays: &on_overlays,
    };
    let surfaces = state.remember_outputs(&output, &drawn, &mut record);
    if is_empty {
        if let Some(head) = state.backend.head(crtc) {
            head.ring.discard(record);
        }
        // Nothing to show, but clients that asked for a frame callback must hear of the next refresh.
        at_next_refresh(state, crtc, &output);
        return;
    }
    let feedback = state.take_feedback(&output);
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    match head.compositor.queue_frame(Some(feedback)) {
        Ok(()) => {
            head.pace.submitted();
            head.flipped = None;
            head.held.queued(read);
            if head.setback.over() {
                info!(output = output.name(), "frames reach the screen again");
            }
            head.name_overlays(on_overlays);
            frames::name_overlays(&mut record, &head.overlay_ids);
            let settled = state.follow_planes(&output, &surfaces, &record);
            take_callbacks(state, crtc);
            let now: Duration = state.clock.now().into();
            if let Some(head) = state.backend.head(crtc) {
                head.pace.drawn(now.saturating_sub(began));
                if settled && stood_for {
                    head.flips = Flips::new(&surfaces, &record);
                }
                head.ring.keep(record, now);
            }
        }
        Err(error) => {
            head.ring.discard(record);
            let why = error.to_string();
            retry(state, crtc, Reason::Refused, &why);
        }
    }
}

fn period(output: &Output) -> Duration {
    // Drivers of some small panels tell a clock that only looks like one.
    let told = output.current_mode().map(|mode| mode.refresh).filter(|millihertz| *millihertz >= 10_000);
    let millihertz = told.unwrap_or(60_000);
    Duration::from_nanos(1_000_000_000_000 / millihertz as u64)
}

/// What waits for the frame just given goes with it.
pub(super) fn take_callbacks(state: &mut Heapwright, crtc: crtc::Handle) {
    let Some(head) = state.backend.head(crtc) else { return };
    let output = head.output.clone();
    let callbacks = state.take_callbacks(&output);
    if let Some(head) = state.backend.head(crtc) {
        head.callbacks.append(callbacks);
    }
}

/// A refresh has come: who waits for it may draw.
fn refreshed(state: &mut Heapwright, crtc: crtc::Handle, at: Duration) {
    let Some(head) = state.backend.head(crtc) else { return };
    let told = head.callbacks.answer(at);
    head.pace.told(at, period(&head.output), told);
    state.tell_hidden(at);
}

fn at_next_refresh(state: &mut Heapwright, crtc: crtc::Handle, output: &Output) {
    take_callbacks(state, crtc);
    let now = state.clock.now().into();
    let Some(head) = state.backend.head(crtc) else { return };
    let next = head.pace.next_refresh(now, period(output));
    wait_then(state, crtc, next - now, move |state, crtc| refreshed(state, crtc, next));
}

/// There was no frame (another session holds the display, or memory is short): try again, soon at first.
fn retry(state: &mut Heapwright, crtc: crtc::Handle, reason: Reason, why: &str) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    if kms.has_vanished() {
        // Nothing is drawn for it any more; what else it means is seen to when this frame is over.
        state.events.insert_idle(card::follow);
        return;
    }
    if !kms.is_active() {
        // The seat's next activation draws everything anew.
        if let Some(head) = kms.heads.get_mut(&crtc) {
            head.pace.nothing();
        }
        return;
    }
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    let output = head.output.name();
    let (wait, say) = head.setback.again(reason);
    debug!(output, why, ?wait, "no frame");
    if say {
        let device = kms.card.as_ref().map_or("", |card| &card.name);
        let size = head.compositor.pending_mode().size();
        let size = Size::new(size.0.into(), size.1.into());
        let advice = state.memory.advice(device, size).filter(|_| reason == Reason::Memory);
        warn!(output, why, advice, "no frame reaches the screen: it keeps its picture until one does");
    }
    wait_then(state, crtc, wait, |state, crtc| {
        let Some(head) = state.backend.head(crtc) else { return };
        let is_known = head.setback.is_known();
        // Draw again even if nothing else changes: when this wait is over, or now if another has ended it.
        if head.changed() {
            state.events.insert_idle(move |state| draw(state, crtc));
        }
        if is_known {
            // Clients go on, slowly: what they free may be what is missing.
            take_callbacks(state, crtc);
            let now = state.clock.now().into();
            refreshed(state, crtc, now);
        }
    });
}

/// Holds the output back for `wait`, does `then`, and draws if something changed meanwhile.
fn wait_then(
    state: &mut Heapwright,
    crtc: crtc::Handle,
    wait: Duration,
    mut then: impl FnMut(&mut Heapwright, crtc::Handle) + 'static,
) {
    let Some(head) = state.backend.head(crtc) else { return };
    head.pace.submitted();
    let serial = head.serial;
    let timer = state.events.insert_timer(wait, move |state| {
        if state.backend.head(crtc).is_none_or(|head| head.serial != serial) {
            // Another output by now.
            return TimeoutAction::Drop;
        }
        then(state, crtc);
        draw_if_dirty(state, crtc);
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "no timer for an output");
    }
}

fn draw_if_dirty(state: &mut Heapwright, crtc: crtc::Handle) {
    if state.backend.head(crtc).is_some_and(|head| head.pace.shown()) {
        state.events.insert_idle(move |state| draw(state, crtc));
    } else {
        state.look_after_hidden();
    }
}

/// A frame has reached the screen.
pub(super) fn shown(state: &mut Heapwright, crtc: crtc::Handle, metadata: Option<DrmEventMetadata>) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    let output = head.output.clone();
    let hardware = metadata.as_ref().and_then(|metadata| match metadata.time {
        DrmEventTime::Monotonic(time) if !time.is_zero() => Some(Time::<Monotonic>::from(time)),
        _ => None,
    });
    let kind = match hardware {
        Some(_) => Kind::Vsync | Kind::HwClock | Kind::HwCompletion,
        None => Kind::Vsync,
    };
    let at = hardware.unwrap_or_else(|| state.clock.now());
    let sequence = metadata.map_or(0, |metadata| u64::from(metadata.sequence));
    head.ring.presented(at.into());
    head.held.shown();
    let submitted = match head.flipped.take() {
        Some(feedback) => Ok(Some(Some(feedback))),
        None => head.compositor.frame_submitted(),
    };
    match submitted {
        Ok(feedback) => {
            if let Some(mut feedback) = feedback.flatten() {
                feedback.presented(at, Refresh::fixed(period(&output)), sequence, kind);
            }
        }
        Err(error) => debug!(output = output.name(), %error, "frame was shown, but the next was not queued"),
    }
    refreshed(state, crtc, at.into());
    draw_if_dirty(state, crtc);
}
