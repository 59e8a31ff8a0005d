//! What people read, and whether it can be true.

use std::fmt::Write as _;

use crate::{
    measure::{Measured, Outcomes},
    peers::FLIP,
};

/// The compositor whose frames the others' are compared with.
const OURS: &str = "heapwright";

/// A table for each size and scene, and what did not run.
pub fn render(all: &[Measured]) -> String {
    let mut text = String::new();
    let mut tables: Vec<(&str, &str)> = Vec::new();
    for measured in all {
        let table = (measured.size.as_str(), measured.scene);
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    for (size, scene) in tables {
        let of_table = || all.iter().filter(|it| it.size == size && it.scene == scene);
        let ours = find(all, size, scene, OURS).map(|cost| cost.program_ms);
        let title = of_table().next().map_or("", |measured| measured.scene_title);
        let _ = writeln!(text, "{size}: {title}; milliseconds a presented frame");
        let _ = writeln!(
            text,
            "{:<22} {:>7} {:>6} {:>7} {:>7} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6}",
            "",
            "program",
            "/ours",
            "of user",
            "kernel",
            "fps",
            "0-copy",
            "latency",
            "KiB",
            "resident",
            "of it",
            "start",
            "frames"
        );
        let _ = writeln!(text, "{:>81} {:>8} {:>8}", "copied", "MiB", "anon");
        for measured in of_table() {
            let Outcomes::Cost(cost) = &measured.result else { continue };
            let start = cost.start_ms.map_or("-".to_owned(), |start| format!("{start:.0}"));
            // Only ours counts; of the others it is the least that can be.
            let least = if measured.name == OURS || cost.copied_bytes == 0.0 { "" } else { ">" };
            let copied = format!("{least}{:.0}", cost.copied_bytes / 1024.0);
            let _ = writeln!(
                text,
                "{:<22} {:>7.3} {:>6} {:>7.3} {:>7.3} {:>6.1} {:>5.0}% {:>8.1} {copied:>8} {:>8.1} {:>8.1} {start:>6} {:>6}",
                measured.title,
                cost.program_ms,
                ratio(cost.program_ms, ours),
                cost.user_ms,
                cost.kernel_ms,
                cost.fps,
                cost.zero_copy * 100.0,
                cost.latency_ms,
                cost.resident_mib,
                cost.anonymous_mib,
                cost.frames,
            );
        }
        for measured in of_table() {
            if let Outcomes::Reason(reason) = &measured.result {
                let _ = writeln!(text, "{:<22} not measured: {reason}", measured.title);
            }
        }
        text.push('\n');
    }
    text.push_str(
        "program: processor time of the program, its way to the guest's kernel and back included; of it, user: in its own \
         code, as the\nhost's ticks tell. kernel: all of the guest's kernel, for every process and the display. latency: \
         median, from the client's\ncommit to the screen. copied: drawn into the screen's own buffer a frame; of others, the \
         least that it can be. start:\nmilliseconds from exec to the client's first frame on the screen.\n",
    );
    text
}

fn ratio(value: f64, of: Option<f64>) -> String {
    match of {
        Some(of) if of > 0.0 => format!("{:.1}", value / of),
        _ => "-".to_owned(),
    }
}

fn find<'a>(all: &'a [Measured], size: &str, scene: &str, name: &str) -> Option<&'a crate::measure::Cost> {
    all.iter().find(|it| it.size == size && it.scene == scene && it.name == name)?.cost()
}

/// What can't be true, or must not be.
pub fn checks(all: &[Measured]) -> Vec<String> {
    let mut wrong = Vec::new();
    for measured in all {
        let (title, scene, size) = (measured.title, measured.scene, &measured.size);
        let Some(cost) = measured.cost() else {
            if [OURS, FLIP].contains(&measured.name) {
                wrong.push(format!("{title}, {scene} at {size} must run"));
            }
            continue;
        };
        let busy = cost.program_ms * cost.frames as f64 / 1e3;
        if busy > cost.seconds * 1.05 && !title.contains("llvmpipe") {
            wrong.push(format!(
                "{title}, {scene} at {size}: {busy:.1} s of one processor in {:.1} s",
                cost.seconds
            ));
        }
        let fullscreen = ["heap", "shm"].contains(&scene);
        if measured.name == OURS && fullscreen && (cost.zero_copy < 0.95 || cost.copied_bytes > 0.0) {
            let (share, bytes) = (cost.zero_copy * 100.0, cost.copied_bytes);
            wrong.push(format!(
                "{title}, {scene} at {size}: {share:.1} % zero-copy, {bytes:.0} bytes copied a frame"
            ));
        }
        if measured.name.ends_with("pixman") && cost.zero_copy > 0.0 && scene == "shm" {
            wrong.push(format!("{title}, {scene} at {size}: shared memory shown without a copy"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Cost;

    fn measured(name: &'static str, program_ms: f64, zero_copy: f64) -> Measured {
        let result = Outcomes::Cost(Cost {
            frames: 480,
            seconds: 8.0,
            fps: 60.0,
            program_ms,
            user_ms: program_ms / 2.0,
            kernel_ms: 0.5,
            zero_copy,
            latency_ms: 16.0,
            copied_bytes: (1.0 - zero_copy) * 4096.0,
            resident_mib: 10.0,
            anonymous_mib: 5.0,
            start_ms: Some(900.0),
        });
        of(name, result)
    }

    fn of(name: &'static str, result: Outcomes) -> Measured {
        Measured { name, title: name, scene: "shm", scene_title: "shm", size: "1024x768".to_owned(), result }
    }

    #[test]
    fn what_did_not_run_is_listed_and_ratios_are_of_the_programs_time() {
        let reason = Outcomes::Reason("it ended with 1; it said: no luck".to_owned());
        let all = [measured(OURS, 0.1, 1.0), measured("other-pixman", 0.4, 0.0), of("peer", reason)];
        let text = render(&all);
        assert!(
            text.contains("peer                   not measured: it ended with 1; it said: no luck"),
            "{text}"
        );
        let line = text.lines().find(|line| line.starts_with("other-pixman")).unwrap_or_default();
        assert!(line.contains(" 4.0 ") && line.contains(" >4 "), "{text}");
        assert_eq!(checks(&all), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let all = [measured(OURS, 0.5, 0.5), measured("other-pixman", 0.4, 0.1)];
        assert_eq!(checks(&all).len(), 2);
        let slow = [measured(OURS, 0.5, 1.0), measured("x", 17.8, 0.0)];
        assert!(checks(&slow)[0].contains("8.5 s of one processor"), "{:?}", checks(&slow));
    }
}
