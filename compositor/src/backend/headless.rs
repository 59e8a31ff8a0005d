//! A screen of memory alone: composed as on a display, at a display's pace.

use std::time::Duration;

use smithay::{
    backend::{
        allocator::Fourcc,
        renderer::{Bind as _, damage::OutputDamageTracker, pixman::PixmanRenderer},
    },
    desktop::utils::OutputPresentationFeedback,
    output::{Mode, Output, PhysicalProperties, Subpixel},
    reexports::{
        calloop::{
            LoopHandle,
            timer::{TimeoutAction, Timer},
        },
        pixman::Image,
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
    },
    utils::{Monotonic, Transform},
    wayland::presentation::Refresh,
};
use tracing::{error, warn};

use super::{Backend, pace::Pace};
use crate::{
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
    pace: Pace,
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
            .map(|index| state.memory.canvas(width, height, &format!("headless-1 output {index}")))
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
        }));
        state.add_keyboard();
        state.add_pointer();
        state.backend.schedule_all(&state.events);
        Ok(())
    }

    /// Queues a draw, unless one is on its way.
    pub fn schedule(&mut self, events: &LoopHandle<'static, Heapwright>) {
        if self.pace.changed() {
            events.insert_idle(draw);
        }
    }

    /// The newest picture that shows a window, or the newest at all: (width, height, pitch in bytes, pixels).
    pub fn picture(&mut self) -> Result<(u32, u32, usize, Vec<u8>), CanvasError> {
        let index = self.kept.unwrap_or(self.front);
        let canvas = &self.canvases[index];
        Ok((canvas.width(), canvas.height(), canvas.pitch(), canvas.copy()?))
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
    let Heapwright { backend: Backend::Headless(headless), space, cursor, .. } = state else { return };
    let headless = &mut **headless;
    let output = headless.output.clone();
    let elements = render::elements(&mut headless.renderer, space, cursor, pointer, &output);
    let back = headless.back();
    let age = match headless.drawn[back] {
        0 => 0,
        drawn => (headless.frames - drawn + 1) as usize,
    };
    let has_windows = space.elements().next().is_some();
    let states = {
        let mut image: Image<'static, 'static> = match headless.canvases[back].image() {
            Ok(image) => image,
            Err(error) => {
                error!(%error, "no frame");
                headless.pace.nothing();
                return;
            }
        };
        let mut target = match headless.renderer.bind(&mut image) {
            Ok(target) => target,
            Err(error) => {
                error!(%error, "no frame");
                headless.pace.nothing();
                return;
            }
        };
        match headless.tracker.render_output(&mut headless.renderer, &mut target, age, &elements, BACKGROUND)
        {
            Ok(result) => {
                if result.damage.is_some() {
                    headless.frames += 1;
                    headless.drawn[back] = headless.frames;
                    headless.front = back;
                    if has_windows {
                        headless.kept = Some(back);
                    }
                }
                result.states
            }
            Err(error) => {
                // One client's bad buffer spoils a frame, not the session: the next change is drawn anew.
                warn!(%error, "a frame was not drawn");
                headless.pace.nothing();
                return;
            }
        }
    };
    headless.pace.submitted();
    let now: Duration = state.clock.now().into();
    let period = refresh();
    let wait = period - Duration::from_nanos((now.as_nanos() % period.as_nanos()) as u64);
    state.remember_outputs(&output, &states);
    let mut feedback = Some(state.take_feedback(&output, &states));
    let timer = state.events.insert_source(Timer::from_duration(wait), move |_, (), state| {
        shown(state, &output, feedback.take());
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "no clock for the headless output");
    }
}

/// A refresh has come: what was drawn is now on the screen.
fn shown(state: &mut Heapwright, output: &Output, feedback: Option<OutputPresentationFeedback>) {
    let now = state.clock.now();
    if let Some(mut feedback) = feedback {
        let elapsed: Duration = now.into();
        let sequence = elapsed.as_nanos() / refresh().as_nanos();
        feedback.presented::<_, Monotonic>(now, Refresh::fixed(refresh()), sequence as u64, Kind::Vsync);
    }
    state.send_frames(output);
    if let Backend::Headless(headless) = &mut state.backend
        && headless.pace.shown()
    {
        state.events.insert_idle(draw);
    }
}

/// Pixel format of canvases.
pub const FORMAT: Fourcc = Fourcc::Xrgb8888;
