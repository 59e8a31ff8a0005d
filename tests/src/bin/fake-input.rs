//! `fake-input`: a keyboard and a tablet that do what they are told, through the kernel's uinput.
//!
//! For scenarios of the lab: real events, through udev and libinput, to whatever compositor runs there.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Parser;
use evdev::{
    AbsInfo, AbsoluteAxisCode, AttributeSet, EventType, InputEvent, KeyCode, UinputAbsSetup,
    uinput::VirtualDevice,
};

/// Makes a keyboard and an absolute pointer, and lets them do one thing after another.
#[derive(Debug, Parser)]
#[command(name = "fake-input")]
struct Cli {
    /// Milliseconds between the devices' appearance and the first event: udev and libinput need to see them.
    #[arg(long, default_value_t = 1500)]
    settle: u64,
    /// `type:TEXT` (letters, digits, space, / . - and \n), `at:X,Y` (thousandths of the screen), `press`, `release` (the left button), `press:right`, `release:right`, `wait:MS`.
    #[arg(required = true, value_parser = parse)]
    actions: Vec<Action>,
}

#[derive(Debug, Clone)]
enum Action {
    Type { text: String },
    At { x: i32, y: i32 },
    Press { button: KeyCode },
    Release { button: KeyCode },
    Wait { ms: u64 },
}

fn parse(text: &str) -> Result<Action, String> {
    let wrong = || format!("{text:?} is no action");
    match text.split_once(':') {
        None if text == "press" => Ok(Action::Press { button: KeyCode::BTN_LEFT }),
        None if text == "release" => Ok(Action::Release { button: KeyCode::BTN_LEFT }),
        Some(("press", "right")) => Ok(Action::Press { button: KeyCode::BTN_RIGHT }),
        Some(("release", "right")) => Ok(Action::Release { button: KeyCode::BTN_RIGHT }),
        Some(("type", text)) => Ok(Action::Type { text: text.replace("\\n", "\n") }),
        Some(("wait", ms)) => Ok(Action::Wait { ms: ms.parse().map_err(|_| wrong())? }),
        Some(("at", place)) => {
            let (x, y) = place.split_once(',').ok_or_else(wrong)?;
            Ok(Action::At { x: x.parse().map_err(|_| wrong())?, y: y.parse().map_err(|_| wrong())? })
        }
        _ => Err(wrong()),
    }
}

/// The key of a character on a US keyboard, without modifiers.
fn key_of(character: char) -> Option<KeyCode> {
    use KeyCode as K;
    const LETTERS: [KeyCode; 26] = [
        K::KEY_A,
        K::KEY_B,
        K::KEY_C,
        K::KEY_D,
        K::KEY_E,
        K::KEY_F,
        K::KEY_G,
        K::KEY_H,
        K::KEY_I,
        K::KEY_J,
        K::KEY_K,
        K::KEY_L,
        K::KEY_M,
        K::KEY_N,
        K::KEY_O,
        K::KEY_P,
        K::KEY_Q,
        K::KEY_R,
        K::KEY_S,
        K::KEY_T,
        K::KEY_U,
        K::KEY_V,
        K::KEY_W,
        K::KEY_X,
        K::KEY_Y,
        K::KEY_Z,
    ];
    match character {
        'a'..='z' => LETTERS.get(character as usize - 'a' as usize).copied(),
        ' ' => Some(K::KEY_SPACE),
        '/' => Some(K::KEY_SLASH),
        '.' => Some(K::KEY_DOT),
        '-' => Some(K::KEY_MINUS),
        '\n' => Some(K::KEY_ENTER),
        _ => None,
    }
}

fn key(code: KeyCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::KEY.0, code.0, value)
}

fn absolute(axis: AbsoluteAxisCode, value: i32) -> InputEvent {
    InputEvent::new(EventType::ABSOLUTE.0, axis.0, value)
}

fn run(cli: &Cli) -> io::Result<()> {
    let keys: AttributeSet<KeyCode> = (1..0x80).map(KeyCode::new).collect();
    let mut keyboard = VirtualDevice::builder()?.name("fake keyboard").with_keys(&keys)?.build()?;
    let buttons: AttributeSet<KeyCode> = [KeyCode::BTN_LEFT, KeyCode::BTN_RIGHT].into_iter().collect();
    // Absolute: relative motion would pass through libinput's acceleration, and end nobody knows where.
    let axis = |code| UinputAbsSetup::new(code, AbsInfo::new(0, 0, 1000, 0, 0, 10));
    let mut pointer = VirtualDevice::builder()?
        .name("fake tablet")
        .with_keys(&buttons)?
        .with_absolute_axis(&axis(AbsoluteAxisCode::ABS_X))?
        .with_absolute_axis(&axis(AbsoluteAxisCode::ABS_Y))?
        .build()?;
    thread::sleep(Duration::from_millis(cli.settle));
    for action in &cli.actions {
        match action {
            Action::Type { text } => {
                for character in text.chars() {
                    let code = key_of(character)
                        .ok_or_else(|| io::Error::other(format!("no key for {character:?}")))?;
                    keyboard.emit(&[key(code, 1)])?;
                    keyboard.emit(&[key(code, 0)])?;
                    thread::sleep(Duration::from_millis(10));
                }
            }
            Action::At { x, y } => {
                pointer
                    .emit(&[absolute(AbsoluteAxisCode::ABS_X, *x), absolute(AbsoluteAxisCode::ABS_Y, *y)])?;
                thread::sleep(Duration::from_millis(20));
            }
            Action::Press { button } => pointer.emit(&[key(*button, 1)])?,
            Action::Release { button } => pointer.emit(&[key(*button, 0)])?,
            Action::Wait { ms } => thread::sleep(Duration::from_millis(*ms)),
        }
    }
    // What was sent must be read before the devices vanish.
    thread::sleep(Duration::from_millis(300));
    Ok(())
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "fake-input: {error}");
            ExitCode::FAILURE
        }
    }
}
