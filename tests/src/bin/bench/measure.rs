//! From a guest's marks and the client's report to numbers.

use std::{collections::HashMap, time::Duration};

use heapwright_tests::lab::Outcome;
use serde::Serialize;
use serde_json::Value;

use crate::peers::{Run, Scene, Size};

/// What one peer's frame costs.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Frames presented in the window.
    pub frames: u64,
    /// Length of the window, seconds.
    pub seconds: f64,
    /// Frames presented a second, over the whole run.
    pub fps: f64,
    /// Processor time of the program, milliseconds a frame. In User-Mode Linux that of its address space: its code, and the
    /// way to the guest's kernel and back at each system call and page fault. On the board that of its threads, what the
    /// kernel does at their system calls included.
    pub program_ms: f64,
    /// The part of it that was spent in the program's code, milliseconds a frame; guessed from ticks of a clock.
    pub user_ms: f64,
    /// Time of the guest's whole kernel, milliseconds a frame, where the host can tell.
    pub kernel_ms: Option<f64>,
    /// Share of frames that the display read from the client's own buffer.
    pub zero_copy: f64,
    /// Median time from the client's commit to the screen, milliseconds.
    pub latency_ms: f64,
    /// Bytes of pictures drawn into the screen's own buffer a frame. Counted by our compositor; of the others, what they at
    /// least must have copied: the client's picture, for each frame that was not zero-copy.
    pub copied_bytes: f64,
    /// Resident memory at the end of the window, MiB.
    pub resident_mib: f64,
    /// Resident memory that is no file's, MiB.
    pub anonymous_mib: f64,
    /// From the program's exec to the client's first frame on the screen, milliseconds.
    pub start_ms: Option<f64>,
}

/// One compositor with one scene at one size.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Who, for programs.
    pub name: &'static str,
    /// Who, for people.
    pub title: &'static str,
    /// What, for programs.
    pub scene: &'static str,
    /// What, for people.
    #[serde(skip)]
    pub scene_title: &'static str,
    /// Size of the screen.
    pub size: String,
    /// What a frame costs, or why there is nothing to say.
    #[serde(flatten)]
    pub result: Outcomes,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcomes {
    /// It ran.
    Cost(Cost),
    /// It did not run, and why.
    Reason(String),
}

impl Measured {
    /// The cost, if it ran.
    pub fn cost(&self) -> Option<&Cost> {
        match &self.result {
            Outcomes::Cost(cost) => Some(cost),
            Outcomes::Reason(_) => None,
        }
    }
}

/// What was seen of one peer.
#[derive(Debug, Default)]
struct Seen {
    started: Option<f64>,
    pid: Option<u32>,
    begun: Option<u64>,
    ended: Option<u64>,
    resident_kib: f64,
    anonymous_kib: f64,
    trouble: Option<String>,
}

/// What a process had used at a mark, as its guest's kernel told.
#[derive(Debug, Clone, Copy)]
struct Used {
    user: Duration,
    system: Duration,
    uptime: Duration,
}

impl Used {
    /// Of user and system time in hundredths of a second (`USER_HZ`), and the uptime in seconds.
    fn parse(user: &str, system: &str, uptime: &str) -> Option<Self> {
        let ticks = |text: &str| Some(Duration::from_millis(text.parse::<u64>().ok()?.checked_mul(10)?));
        let uptime = Duration::try_from_secs_f64(uptime.parse().ok()?).ok()?;
        Some(Used { user: ticks(user)?, system: ticks(system)?, uptime })
    }
}

/// What the measured window took.
struct Spent {
    wall: Duration,
    program: Duration,
    user: Duration,
    kernel: Option<Duration>,
}

/// Follows a guest's output and takes times at its marks.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<String, Seen>,
    used: HashMap<String, Used>,
}

impl Watch {
    /// Takes a line of the guest's output.
    pub fn line(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["@started", name, uptime] => self.of(name).started = uptime.parse().ok(),
            ["@begun", name, frame, pid] => {
                let seen = self.of(name);
                (seen.begun, seen.pid) = (frame.parse().ok(), pid.parse().ok());
            }
            ["@used", mark, user, system, uptime] => {
                let used = Used::parse(user, system, uptime);
                self.used.extend(used.map(|used| ((*mark).to_owned(), used)));
            }
            ["@done", name, frame] => self.of(name).ended = frame.parse().ok(),
            ["@resident", name, kib] => self.of(name).resident_kib = kib.parse().unwrap_or(0.0),
            ["@anonymous", name, kib] => self.of(name).anonymous_kib = kib.parse().unwrap_or(0.0),
            ["@late", name] => self.of(name).trouble = Some("it was not done in time".to_owned()),
            ["@ended", name, code] => {
                let seen = self.of(name);
                if seen.ended.is_none() && seen.trouble.is_none() {
                    seen.trouble = Some(format!("it ended with {code}"));
                }
            }
            _ => {}
        }
    }

    /// What was seen of a peer; entered at first sight, whichever mark comes first.
    fn of(&mut self, name: &str) -> &mut Seen {
        self.seen.entry(name.to_owned()).or_default()
    }

    /// What came of a run.
    pub fn measured(&self, run: Run, size: Size, outcome: &Outcome) -> Measured {
        let result = match self.cost(run, size, outcome) {
            Ok(cost) => Outcomes::Cost(cost),
            Err(reason) => Outcomes::Reason(reason),
        };
        Measured {
            name: run.compositor.name,
            title: run.compositor.title,
            scene: run.scene.name(),
            scene_title: run.scene.title(),
            size: size.to_string(),
            result,
        }
    }

    /// The window from one mark to the other, by the guest's own word where it counted, else by the host's.
    fn spent(&self, name: &str, seen: &Seen, outcome: &Outcome) -> Result<Spent, String> {
        let (begin, end) = (format!("{name}-begin"), format!("{name}-end"));
        if let (Some(begin), Some(end)) = (self.used.get(&begin), self.used.get(&end)) {
            let user = end.user.saturating_sub(begin.user);
            let system = end.system.saturating_sub(begin.system);
            let wall = end.uptime.saturating_sub(begin.uptime);
            return Ok(Spent { wall, program: user + system, user, kernel: None });
        }
        let between = outcome.between(&begin, &end).map_err(|error| error.to_string())?;
        let program = between.processes.iter().find(|process| Some(process.pid) == seen.pid);
        let program = program.ok_or("its process was not found on the host")?.used;
        let kernel = Some(between.kernel.run);
        Ok(Spent { wall: between.wall, program: program.run, user: program.user, kernel })
    }

    fn cost(&self, run: Run, size: Size, outcome: &Outcome) -> Result<Cost, String> {
        let name = run.name();
        let seen = self.seen.get(&name).ok_or("it was never started")?;
        let log = outcome.text(&format!("{name}.log")).unwrap_or_default();
        let said = || match complaint(&log) {
            Some(line) => format!("; it said: {line}"),
            None => String::new(),
        };
        let frames = seen.begun.zip(seen.ended).and_then(|(first, last)| last.checked_sub(first));
        let Some(frames) = frames.filter(|frames| *frames > 0) else {
            let trouble = seen.trouble.as_deref().unwrap_or("there was no steady state");
            return Err(format!("{trouble}{}", said()));
        };
        let spent = self.spent(&name, seen, outcome)?;
        let text = outcome.text(&format!("{name}.json")).unwrap_or_default();
        let mut report: Value =
            serde_json::from_str(&text).map_err(|_| format!("the client gave no report{}", said()))?;
        if let Some(video) = report.get_mut("video") {
            report = video.take();
        }
        let got = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
        if matches!(run.scene, Scene::Heap | Scene::Shm | Scene::Negotiated)
            && got("size") != size.to_string()
        {
            return Err(format!("the client was {} and not {size}", got("size")));
        }
        if run.path().is_some_and(|path| got("path") != path) {
            return Err(format!("the client went through {}: {}", got("path"), got("why")));
        }
        let number = |key: &str| report[key].as_f64().unwrap_or(0.0);
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / frames as f64;
        // CLOCK_MONOTONIC, which in a guest that never sleeps is its uptime.
        let monotonic = report["clock"].as_u64() == Some(1);
        let shown = seen.started.filter(|_| monotonic);
        let zero_copy = if run.is_bare() { 1.0 } else { number("zero_copy") / number("presented").max(1.0) };
        let frames_text = outcome.text(&format!("{name}.frames")).unwrap_or_default();
        let least = || (1.0 - zero_copy) * picture_bytes(&got("size"));
        Ok(Cost {
            frames,
            seconds: spent.wall.as_secs_f64(),
            fps: number("fps"),
            program_ms: ms(spent.program),
            user_ms: ms(spent.user),
            kernel_ms: spent.kernel.map(ms),
            zero_copy,
            latency_ms: number("latency_median_ms"),
            copied_bytes: copied(&frames_text).unwrap_or_else(least),
            resident_mib: seen.resident_kib / 1024.0,
            anonymous_mib: seen.anonymous_kib / 1024.0,
            start_ms: shown.map(|started| number("first_presented_ms") - started * 1e3),
        })
    }
}

/// Of the rounds of each compositor and scene the one whose processor time is the median; the lower of two. In the order in
/// which they came first.
pub fn medians(rounds: Vec<Measured>) -> Vec<Measured> {
    let mut groups: Vec<Vec<Measured>> = Vec::new();
    for measured in rounds {
        match groups.iter_mut().find(|group| {
            group.first().is_some_and(|it| (it.name, it.scene) == (measured.name, measured.scene))
        }) {
            Some(group) => group.push(measured),
            None => groups.push(vec![measured]),
        }
    }
    groups.into_iter().filter_map(median).collect()
}

/// Rounds that did not run count as the dearest, so that the reason is told when most did not.
fn median(mut group: Vec<Measured>) -> Option<Measured> {
    let program = |measured: &Measured| measured.cost().map_or(f64::INFINITY, |cost| cost.program_ms);
    group.sort_by(|a, b| program(a).total_cmp(&program(b)));
    let middle = group.len().checked_sub(1)? / 2;
    Some(group.swap_remove(middle))
}

/// Bytes of a picture of `WxH` with four a pixel.
fn picture_bytes(size: &str) -> f64 {
    let sides =
        size.split_once('x').and_then(|(w, h)| Some((w.parse::<f64>().ok()?, h.parse::<f64>().ok()?)));
    sides.map_or(0.0, |(width, height)| width * height * 4.0)
}

/// Bytes copied a frame, of what our compositor tells of its last frames.
fn copied(frames: &str) -> Option<f64> {
    let told: Value = serde_json::from_str(frames).ok()?;
    let frames = told["outputs"][0]["frames"].as_array().filter(|frames| !frames.is_empty())?;
    let bytes: f64 = frames.iter().filter_map(|frame| frame["copied_bytes"].as_f64()).sum();
    Some(bytes / frames.len() as f64)
}

/// The line of a log that tells most: the last that names an error, else the last of all.
fn complaint(log: &str) -> Option<&str> {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let names_one = |line: &&str| {
        let line = line.to_lowercase();
        ["error", "fail", "unable", "cannot", "could not", "fatal"].iter().any(|word| line.contains(word))
    };
    lines().rfind(names_one).or_else(|| lines().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_most_is_found() {
        assert_eq!(complaint("starting\nUnable to create it\nbye\n\n"), Some("Unable to create it"));
        assert_eq!(complaint("starting\nbye\n\n"), Some("bye"));
        assert_eq!(complaint(" \n"), None);
    }

    #[test]
    fn one_that_ends_before_its_window_is_told_with_its_code() {
        let mut watch = Watch::default();
        for line in ["noise", "@started x 3.50", "@ended x 1"] {
            watch.line(line);
        }
        let seen = &watch.seen["x"];
        assert_eq!(seen.started, Some(3.5));
        assert_eq!(seen.trouble.as_deref(), Some("it ended with 1"));
    }
}
