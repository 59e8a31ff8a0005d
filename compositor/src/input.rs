//! Keyboard and pointer events on their way from devices to clients.

use std::time::Duration;

use smithay::{
    backend::input::{
        AbsolutePositionEvent, Axis, AxisSource, ButtonState, Event, InputBackend, InputEvent, KeyState,
        KeyboardKeyEvent, PointerAxisEvent, PointerButtonEvent, PointerMotionEvent,
    },
    input::{
        keyboard::{FilterResult, Keysym, ModifiersState, XkbConfig, keysyms},
        pointer::{AxisFrame, ButtonEvent, MotionEvent, RelativeMotionEvent},
    },
    utils::{Logical, Point, SERIAL_COUNTER},
};
use tracing::{info, warn};

use crate::state::Heapwright;

/// Pixels that one notch of a wheel (120 units) scrolls, where the device does not say.
const PIXELS_PER_NOTCH: f64 = 15.0;
/// Milliseconds until a held key repeats.
const REPEAT_DELAY: i32 = 400;
/// Repeats a second.
const REPEAT_RATE: i32 = 25;

/// What a key combination does to the compositor itself.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Shortcut {
    /// Ctrl+Alt+Backspace.
    Quit,
    /// Ctrl+Alt+F1 to F12.
    Terminal(i32),
    /// Alt+Tab.
    NextWindow,
    /// Alt+F4.
    Close,
}

fn shortcut(modifiers: &ModifiersState, key: Keysym) -> Option<Shortcut> {
    let raw = key.raw();
    match (modifiers.ctrl, modifiers.alt, raw) {
        (true, true, keysyms::KEY_BackSpace) => Some(Shortcut::Quit),
        (_, _, keysyms::KEY_XF86Switch_VT_1..=keysyms::KEY_XF86Switch_VT_12) => {
            Some(Shortcut::Terminal((raw - keysyms::KEY_XF86Switch_VT_1) as i32 + 1))
        }
        (false, true, keysyms::KEY_Tab) => Some(Shortcut::NextWindow),
        (false, true, keysyms::KEY_F4) => Some(Shortcut::Close),
        _ => None,
    }
}

impl Heapwright {
    /// Gives the seat a keyboard, if it has none.
    ///
    /// Without keymaps on the machine there is no keyboard: the screen still works, and the log says why.
    pub fn add_keyboard(&mut self) {
        if self.seat.get_keyboard().is_some() {
            return;
        }
        if let Err(error) = self.seat.add_keyboard(XkbConfig::default(), REPEAT_DELAY, REPEAT_RATE) {
            warn!(%error, "no keyboard: no keymap could be compiled; install xkb-data or set XKB_CONFIG_ROOT");
            return;
        }
        self.focus_topmost();
    }

    /// Gives the seat a pointer, if it has none.
    pub fn add_pointer(&mut self) {
        if self.seat.get_pointer().is_none() {
            self.seat.add_pointer();
        }
    }

    /// Handles one event of a keyboard or pointing device.
    pub fn input<I: InputBackend>(&mut self, event: InputEvent<I>) {
        match event {
            InputEvent::Keyboard { event } => self.key::<I>(&event),
            InputEvent::PointerMotion { event } => {
                let Some(pointer) = self.seat.get_pointer() else { return };
                let to = self.within_outputs(pointer.current_location() + event.delta());
                let under = self.surface_under(to);
                pointer.relative_motion(
                    self,
                    under,
                    &RelativeMotionEvent {
                        delta: event.delta(),
                        delta_unaccel: event.delta_unaccel(),
                        utime: event.time(),
                    },
                );
                self.move_pointer(to, event.time_msec());
            }
            InputEvent::PointerMotionAbsolute { event } => {
                let Some(area) =
                    self.space.outputs().next().and_then(|output| self.space.output_geometry(output))
                else {
                    return;
                };
                self.move_pointer(
                    event.position_transformed(area.size) + area.loc.to_f64(),
                    event.time_msec(),
                );
            }
            InputEvent::PointerButton { event } => self.button::<I>(&event),
            InputEvent::PointerAxis { event } => self.scroll::<I>(&event),
            _ => {}
        }
    }

    fn key<I: InputBackend>(&mut self, event: &I::KeyboardKeyEvent) {
        let Some(keyboard) = self.seat.get_keyboard() else { return };
        let pressed = event.state() == KeyState::Pressed;
        let serial = SERIAL_COUNTER.next_serial();
        let action = keyboard.input(
            self,
            event.key_code(),
            event.state(),
            serial,
            event.time_msec(),
            |_, modifiers, key| match shortcut(modifiers, key.modified_sym()) {
                Some(action) if pressed => FilterResult::Intercept(action),
                _ => FilterResult::Forward,
            },
        );
        match action {
            Some(Shortcut::Quit) => self.shut_down("Ctrl+Alt+Backspace"),
            Some(Shortcut::Terminal(number)) => self.backend.change_terminal(number),
            Some(Shortcut::NextWindow) => {
                let lowest = self.space.elements().next().cloned();
                self.focus(lowest.as_ref());
            }
            Some(Shortcut::Close) => {
                let topmost = self.space.elements().next_back().cloned();
                if let Some(toplevel) = topmost.as_ref().and_then(|window| window.toplevel()) {
                    info!("closing the window in front");
                    toplevel.send_close();
                }
            }
            None => {}
        }
    }

    /// The nearest point that lies on an output.
    fn within_outputs(&self, at: Point<f64, Logical>) -> Point<f64, Logical> {
        self.space
            .outputs()
            .filter_map(|output| self.space.output_geometry(output))
            .map(|area| {
                let (low, high) = (area.loc.to_f64(), (area.loc + area.size.to_point()).to_f64());
                Point::from((at.x.clamp(low.x, high.x - 1.0), at.y.clamp(low.y, high.y - 1.0)))
            })
            .min_by(|a: &Point<f64, Logical>, b| {
                let far = |p: &Point<f64, Logical>| (p.x - at.x).powi(2) + (p.y - at.y).powi(2);
                far(a).total_cmp(&far(b))
            })
            .unwrap_or(at)
    }

    /// Outputs have changed: the pointer stays on one.
    pub(crate) fn keep_pointer_on_outputs(&mut self) {
        let Some(pointer) = self.seat.get_pointer().filter(|_| self.cursor.shown) else { return };
        let to = self.within_outputs(pointer.current_location());
        // In the time of input events: milliseconds that wrap.
        let now: Duration = self.clock.now().into();
        self.move_pointer(to, now.as_millis() as u32);
    }

    fn move_pointer(&mut self, to: Point<f64, Logical>, time: u32) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        let under = self.surface_under(to);
        self.cursor.shown = true;
        let serial = SERIAL_COUNTER.next_serial();
        pointer.motion(self, under, &MotionEvent { location: to, serial, time });
        pointer.frame(self);
        self.backend.schedule_all(&self.events);
    }

    fn button<I: InputBackend>(&mut self, event: &I::PointerButtonEvent) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        let serial = SERIAL_COUNTER.next_serial();
        if event.state() == ButtonState::Pressed && !pointer.is_grabbed() {
            let window =
                self.space.element_under(pointer.current_location()).map(|(window, _)| window.clone());
            self.focus(window.as_ref());
        }
        let event = ButtonEvent {
            button: event.button_code(),
            state: event.state(),
            serial,
            time: event.time_msec(),
        };
        let was_grabbed = pointer.is_grabbed();
        pointer.button(self, &event);
        pointer.frame(self);
        if was_grabbed {
            // It may have dismissed a popup.
            self.backend.schedule_all(&self.events);
        }
    }

    fn scroll<I: InputBackend>(&mut self, event: &I::PointerAxisEvent) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        let mut frame = AxisFrame::new(event.time_msec()).source(event.source());
        for axis in [Axis::Horizontal, Axis::Vertical] {
            let notches = event.amount_v120(axis);
            let amount = event
                .amount(axis)
                .or_else(|| notches.map(|v120| v120 * PIXELS_PER_NOTCH / 120.0))
                .unwrap_or(0.0);
            if amount != 0.0 {
                frame = frame.relative_direction(axis, event.relative_direction(axis)).value(axis, amount);
                if let Some(v120) = notches {
                    frame = frame.v120(axis, v120 as i32);
                }
            } else if event.source() == AxisSource::Finger && event.amount(axis) == Some(0.0) {
                // A finger that lies still ends kinetic scrolling.
                frame = frame.stop(axis);
            }
        }
        pointer.axis(self, frame);
        pointer.frame(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_combinations_are_taken_from_clients() {
        let held = |ctrl, alt| ModifiersState { ctrl, alt, ..Default::default() };
        assert_eq!(shortcut(&held(true, true), Keysym::BackSpace), Some(Shortcut::Quit));
        assert_eq!(shortcut(&held(true, true), Keysym::XF86_Switch_VT_3), Some(Shortcut::Terminal(3)));
        assert_eq!(shortcut(&held(false, true), Keysym::Tab), Some(Shortcut::NextWindow));
        for (ctrl, alt, key) in
            [(false, false, Keysym::BackSpace), (true, false, Keysym::Tab), (false, false, Keysym::F4)]
        {
            assert_eq!(shortcut(&held(ctrl, alt), key), None, "{key:?} belongs to the client");
        }
    }
}
