//! QEMU's monitor (QMP): photographs of the guest's screens, and its keyboard and tablet.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use super::{LabError, guest::Host};

/// How the guest's `lab-ask` rings, after it has left a file that says what it wants.
const BELL: &str = "@@lab ask";
/// The monitor answers as soon as the machine's main loop comes round.
const PATIENCE: Duration = Duration::from_secs(60);
/// The whole of a tablet's axis (QEMU docs, `InputMoveEvent`).
const AXIS: u64 = 0x7fff;

/// The monitor of a machine, and what its guest asks of it.
pub(super) struct Monitor {
    lines: BufReader<UnixStream>,
    directory: PathBuf,
    /// The name of a screen that is the machine's own.
    screen: Option<&'static str>,
    /// Of the last command, which its reply repeats.
    number: u64,
}

impl Monitor {
    /// Greets the monitor. Answers to the guest go to the directory that it shares with the host.
    ///
    /// A screen that the machine has by itself, and the monitor no name for, is photographed as `screen`.
    pub fn new(stream: UnixStream, directory: &Path, screen: Option<&'static str>) -> Result<Self, LabError> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(LabError::file("the monitor"))?;
        let mut monitor =
            Monitor { lines: BufReader::new(stream), directory: directory.to_owned(), screen, number: 0 };
        // A machine that could not start says so itself.
        let _ = monitor.send("qmp_capabilities", &json!({}));
        Ok(monitor)
    }

    fn send(&mut self, name: &str, arguments: &Value) -> Result<(), String> {
        self.number += 1;
        let text = json!({"execute": name, "arguments": arguments, "id": self.number}).to_string() + "\n";
        self.lines.get_mut().write_all(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// Runs one command; the error is what the monitor says of it.
    fn command(&mut self, name: &str, arguments: &Value) -> Result<(), String> {
        self.send(name, arguments)?;
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return Err("the machine has ended".to_owned()),
                Err(error) => return Err(format!("the monitor does not answer: {error}")),
                Ok(_) => {}
            }
            let reply: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            if reply["id"] != self.number {
                // The greeting, an event, or what is said to the first command.
                continue;
            }
            if let Some(error) = reply.get("error") {
                return Err(error["desc"].as_str().unwrap_or(&line).to_owned());
            }
            return Ok(());
        }
    }

    fn request(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["lab-shot", display, name] => self.shot(display, name),
            ["lab-shot", ..] => Err("give a display and a name".to_owned()),
            ["lab-input", actions @ ..] if !actions.is_empty() => {
                actions.iter().try_for_each(|action| self.input(action))
            }
            _ => Err("give it something to do".to_owned()),
        }
    }

    fn shot(&mut self, display: &str, name: &str) -> Result<(), String> {
        if name.contains('/') {
            return Err(format!("{name:?} is no name: give one without /"));
        }
        let file = self.directory.join("out").join(format!("{name}.ppm"));
        let mut arguments = json!({"filename": file.display().to_string()});
        if self.screen != Some(display) {
            arguments["device"] = display.into();
            arguments["head"] = 0.into();
        }
        self.command("screendump", &arguments)
    }

    fn input(&mut self, action: &str) -> Result<(), String> {
        let events = events(action).ok_or_else(|| {
            format!("{action:?} is no action: key:CODE, at:X,Y (thousandths of the screen), press or release")
        })?;
        self.command("input-send-event", &json!({"events": events}))
    }
}

/// The monitor's events for an action of `lab-input`.
fn events(action: &str) -> Option<Value> {
    let button = |down: bool| json!([{"type": "btn", "data": {"down": down, "button": "left"}}]);
    let axis = |axis: &str, thousandths: &str| {
        let value = thousandths.parse::<u64>().ok().filter(|value| *value <= 1000)? * AXIS / 1000;
        Some(json!({"type": "abs", "data": {"axis": axis, "value": value}}))
    };
    match action.split_once(':') {
        None if action == "press" => Some(button(true)),
        None if action == "release" => Some(button(false)),
        Some(("key", code)) => {
            let key = |down: bool| json!({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": code}}});
            Some(json!([key(true), key(false)]))
        }
        Some(("at", place)) => {
            let (x, y) = place.split_once(',')?;
            Some(json!([axis("x", x)?, axis("y", y)?]))
        }
        _ => None,
    }
}

impl Host for Monitor {
    fn asked(&mut self, line: &str) -> Result<bool, LabError> {
        // Any line may hold the end of a bell that the guest's kernel has talked into.
        let asks = self.directory.join("asks");
        for entry in fs::read_dir(&asks).map_err(LabError::file(&asks))?.flatten() {
            let number = entry.file_name().to_string_lossy().into_owned();
            if number.bytes().all(|byte| byte.is_ascii_digit()) {
                self.serve(&entry.path(), &number)?;
            }
        }
        Ok(line == BELL)
    }
}

impl Monitor {
    fn serve(&mut self, ask: &Path, number: &str) -> Result<(), LabError> {
        let request = fs::read_to_string(ask).map_err(LabError::file(ask))?;
        fs::remove_file(ask).map_err(LabError::file(ask))?;
        let words: Vec<_> = request.lines().collect();
        let said = self.request(&words).err().unwrap_or_default();
        // In one step, so that the guest finds none half.
        let answer = self.directory.join("answers").join(number);
        let part = answer.with_extension("part");
        fs::write(&part, said).map_err(LabError::file(&part))?;
        fs::rename(&part, &answer).map_err(LabError::file(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_becomes_the_monitors_events() {
        let at = events("at:500,1000").expect("an action");
        assert_eq!((&at[0]["data"]["value"], &at[1]["data"]["value"]), (&16383.into(), &32767.into()));
        assert_eq!(events("key:ret").expect("an action")[1]["data"]["down"], false);
        for wrong in ["at:500", "at:1001,0", "at:-1,0", "push", "wait:3", ""] {
            assert_eq!(events(wrong), None, "{wrong}");
        }
    }
}
