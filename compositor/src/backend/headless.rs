//! A screen of memory alone: composed as on a display, at a display's pace.

use std::{cell::Cell, time::Duration};

use smithay::{
    backend::renderer::{
        Bind as _,
        damage::{Error as OutputDamageTrackerError, OutputDamageTracker},
        pixman::{PixmanError, PixmanRenderer},
    },
    desktop::utils::OutputPresentationFeedback,
    output::{Mode, Output, PhysicalProperties, Subpixel},
    reexports::{
        calloop::timer::TimeoutAction,
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
        wayland_server::{Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    },
    utils::{Monotonic, Scale, Transform},
    wayland::presentation::Refresh,
};
use tracing::warn;

use super::{Backend, pace::Pace};
use crate::{
    callbacks::Callbacks,
    counted::counted,
    events::Events,
    feedback::{Source, USUAL, device_without_display, renderer_pairs},
    frames::{Drawn, Ring},
    memory::{Canvas, CanvasError},
    render::{self, BACKGROUND},
    state::Heapwright,
};

/// Refresh rate, millihertz.
const REFRESH_MHZ: i32 = 60_000;

/// A headless output.
#[derive(Debug)]
pub struct Headless {
    output: Output,
    renderer: PixmanRenderer,
    canvases: Vec<Canvas>,
    /// Canvas with the newest picture.
    front: usize,
    /// Canvas with the newest picture that shows a window, kept until there is a newer one.
    kept: Option<usize>,
    tracker: OutputDamageTracker,
    /// Frame number at which each canvas was drawn; 0 never.
    drawn: Vec<u64>,
    frames: u64,
    pace: Pace<ObjectId>,
    /// They go with the picture that is shown next.
    callbacks: Callbacks,
    ring: Ring,
}

/// Why there is no headless output.
#[derive(Debug, thiserror::Error)]
pub enum HeadlessError {
    /// No memory to draw in.
    #[error(transparent)]
    Canvas(#[from] CanvasError),
    /// The renderer did not start.
    #[error("software renderer: {0}")]
    Renderer(#[from] smithay::backend::renderer::pixman::PixmanError),
}

impl Headless {
    /// Makes an output of `width` x `height` pixels and attaches it to `state`.
    ///
    /// # Errors
    /// [`HeadlessError`] when no heap gives the memory.
    pub fn attach(state: &mut Heapwright, width: u32, height: u32) -> Result<(), HeadlessError> {
        // Three: one being drawn, one shown, and one that may be kept for a picture of the last window.
        let canvases = (0..3)
            .map(|_| state.memory.canvas(width, height, "headless-1 output"))
            .collect::<Result<Vec<_>, _>>()?;
        let output = Output::new(
            "headless-1".to_owned(),
            PhysicalProperties {
                size: (0, 0).into(),
                subpixel: Subpixel::None,
                make: "Heapwright".to_owned(),
                model: "headless".to_owned(),
            },
        );
        let mode = Mode { size: (width as i32, height as i32).into(), refresh: REFRESH_MHZ };
        output.change_current_state(Some(mode), Some(Transform::Normal), None, Some((0, 0).into()));
        output.set_preferred(mode);
        output.create_global::<Heapwright>(&state.display);
        state.space.map_output(&output, (0, 0));
        let tracker = OutputDamageTracker::from_output(&output);
        let drawn = vec![0; canvases.len()];
        state.backend = Backend::Headless(Box::new(Headless {
            output,
            renderer: PixmanRenderer::new()?,
            canvases,
            front: 0,
            kept: None,
            tracker,
            drawn,
            frames: 0,
            pace: Pace::default(),
            callbacks: Callbacks::default(),
            ring: Ring::default(),
        }));
        state.add_keyboard();
        state.add_pointer();
        state.backend.schedule_all(&state.events);
        Ok(())
    }

    /// Queues a draw, unless one is on its way.
    pub fn schedule(&mut self, events: &Events) {
        if self.pace.changed() {
            events.insert_idle(draw);
        }
    }

    /// The same after a commit of this surface.
    pub fn surface_committed(&mut self, events: &Events, surface: &WlSurface) {
        if self.pace.committed(&surface.id()) {
            events.insert_idle(draw);
        }
    }

    /// When it has waited long enough for clients, if it does.
    #[must_use]
    pub fn waits_until(&self) -> Option<Duration> {
        self.pace.waits_until()
    }

    /// Queues a draw if it has.
    pub fn schedule_due(&mut self, events: &Events, now: Duration) {
        if self.pace.is_due(now) {
            events.insert_idle(draw);
        }
    }

    /// The newest picture that shows a window, or the newest at all: (width, height, pitch in bytes, pixels).
    pub fn picture(&mut self) -> Result<(u32, u32, usize, Vec<u8>), CanvasError> {
        let index = self.kept.unwrap_or(self.front);
        let canvas = &self.canvases[index];
        Ok((canvas.width(), canvas.height(), canvas.pitch(), canvas.copy()?))
    }

    /// The output and its last frames.
    #[must_use]
    pub fn ring(&self) -> (&Output, &Ring) {
        (&self.output, &self.ring)
    }

    /// The renderer.
    pub fn renderer(&mut self) -> &mut PixmanRenderer {
        &mut self.renderer
    }

    /// What composed surfaces can be made of.
    #[must_use]
    pub fn feedback_source(&self) -> Source {
        Source { device: device_without_display(), size: USUAL, formats: renderer_pairs(&self.renderer) }
    }

    /// The canvas to draw next: neither shown nor kept.
    fn back(&self) -> usize {
        (0..self.canvases.len()).find(|index| *index != self.front && Some(*index) != self.kept).unwrap_or(0)
    }
}

fn refresh() -> Duration {
    Duration::from_nanos(1_000_000_000_000 / REFRESH_MHZ as u64)
}

/// Draws what changed and waits for the refresh after it.
fn draw(state: &mut Heapwright) {
    let pointer = state.pointer_place();
    let Heapwright { backend: Backend::Headless(headless), space, cursor, clock, .. } = state else { return };
    let headless = &mut **headless;
    if !headless.pace.draws_now(|| clock.now().into()) {
        return;
    }
    let began: Duration = clock.now().into();
    let output = headless.output.clone();
    let pointer = render::pointer_elements(&mut headless.renderer, space, cursor, pointer, &output);
    let elements = render::elements(&mut headless.renderer, space, pointer, &output);
    let back = headless.back();
    let age = match headless.drawn[back] {
        0 => 0,
        drawn => (headless.frames - drawn + 1) as usize,
    };
    let has_windows = space.elements().next().is_some();
    let Headless { renderer, tracker, canvases, .. } = headless;
    let copied = Cell::new(0);
    let counted = counted(&elements, &copied, None);
    let drawn = canvases[back].draw(|image| {
        let mut target = renderer.bind(image).map_err(OutputDamageTrackerError::Rendering)?;
        let result = tracker.render_output(renderer, &mut target, age, &counted, BACKGROUND)?;
        Ok::<_, OutputDamageTrackerError<PixmanError>>((result.damage.is_some(), result.states))
    });
    // One client's bad buffer spoils a frame, not the session: the next change is drawn anew.
    let drawn = drawn.map_err(|error| error.to_string());
    let (changed, states) = match drawn.and_then(|drawn| drawn.map_err(|error| error.to_string())) {
        Ok(drawn) => drawn,
        Err(error) => {
            warn!(error, "a frame was not drawn");
            return wait_for_refresh(state, &output, None);
        }
    };
    if changed {
        headless.frames += 1;
        headless.drawn[back] = headless.frames;
        headless.front = back;
        if has_windows {
            headless.kept = Some(back);
        }
    }
    let now: Duration = state.clock.now().into();
    headless.pace.drawn(now.saturating_sub(began));
    let mut frame = headless.ring.begin();
    frame.copied = copied.get();
    let drawn = Drawn {
        elements: &elements,
        scale: Scale::from(output.current_scale().fractional_scale()),
        states: &states,
        places: &[],
        memory: true,
        takes: &|_| false,
        not_lent: &|_| None,
        primary: 0,
        pointer: None,
        overlays: 0,
        on_overlays: &[],
    };
    let _ = state.remember_outputs(&output, &drawn, &mut frame);
    let Backend::Headless(headless) = &mut state.backend else { return };
    if changed {
        headless.ring.keep(frame, now);
    } else {
        headless.ring.discard(frame);
    }
    let feedback = state.take_feedback(&output);
    wait_for_refresh(state, &output, Some(feedback));
}

/// Waits for the next refresh; who waits for it then hears of it.
fn wait_for_refresh(
    state: &mut Heapwright,
    output: &Output,
    mut feedback: Option<OutputPresentationFeedback>,
) {
    let callbacks = state.take_callbacks(output);
    let now: Duration = state.clock.now().into();
    let Backend::Headless(headless) = &mut state.backend else { return };
    headless.callbacks.append(callbacks);
    headless.pace.submitted();
    let period = refresh();
    let wait = period - Duration::from_nanos((now.as_nanos() % period.as_nanos()) as u64);
    let timer = state.events.insert_timer(wait, move |state| {
        shown(state, feedback.take());
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "no clock for the headless output");
    }
}

/// A refresh has come: what was drawn is now on the screen.
fn shown(state: &mut Heapwright, feedback: Option<OutputPresentationFeedback>) {
    let now = state.clock.now();
    if let Some(mut feedback) = feedback {
        let elapsed: Duration = now.into();
        let sequence = elapsed.as_nanos() / refresh().as_nanos();
        feedback.presented::<_, Monotonic>(now, Refresh::fixed(refresh()), sequence as u64, Kind::Vsync);
    }
    let now = now.into();
    let Backend::Headless(headless) = &mut state.backend else { return };
    let told = headless.callbacks.answer(now);
    headless.pace.told(now, refresh(), told);
    headless.ring.presented(now);
    state.tell_hidden(now);
    let Backend::Headless(headless) = &mut state.backend else { return };
    if headless.pace.shown() {
        state.events.insert_idle(draw);
    } else {
        state.look_after_hidden();
    }
}
