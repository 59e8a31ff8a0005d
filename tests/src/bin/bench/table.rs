//! What people read, and whether it can be true.

use std::fmt::Write as _;

use crate::{
    measure::{Measured, Outcomes},
    peers::{FLIP, TOLD},
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
            let kernel = cost.kernel_ms.map_or("-".to_owned(), |kernel| format!("{kernel:.3}"));
            let _ = writeln!(
                text,
                "{:<22} {:>7.3} {:>6} {:>7.3} {kernel:>7} {:>6.1} {:>5.0}% {:>8.1} {copied:>8} {:>8.1} {:>8.1} {start:>6} {:>6}",
                measured.title,
                cost.program_ms,
                ratio(cost.program_ms, ours),
                cost.user_ms,
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
        "program: processor time of the program, its system calls included (in User-Mode Linux only the way to them and \
         back); of it, user:\nin its own code, as ticks of a clock tell. kernel: all of the guest's kernel, for every process \
         and the display. latency: median,\nfrom the client's commit to the screen. copied: drawn into the screen's own \
         buffer a frame; of others, the least that it can be.\nstart: milliseconds from exec to the client's first frame on \
         the screen.\n",
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

/// Most memory that a session on the board may have resident, MiB.
const BOARD_RESIDENT_MIB: f64 = 24.0;

/// What can't be true on the board, or must not be.
pub fn board_checks(all: &[Measured]) -> Vec<String> {
    let mut wrong = Vec::new();
    for measured in all {
        let (title, scene) = (measured.title, measured.scene);
        let Some(cost) = measured.cost() else {
            wrong.push(format!("{title}, {scene} must run"));
            continue;
        };
        let expected = if scene == "negotiated" { 1.0 } else { 0.0 };
        if (cost.zero_copy - expected).abs() > 0.05 {
            wrong.push(format!("{title}, {scene}: {:.1} % zero-copy", cost.zero_copy * 100.0));
        }
        if measured.name == OURS && cost.resident_mib >= BOARD_RESIDENT_MIB {
            wrong.push(format!(
                "{title}, {scene}: {:.1} MiB resident, more than {BOARD_RESIDENT_MIB}",
                cost.resident_mib
            ));
        }
    }
    wrong
}

/// What can't be true on a virtual display, or must not be.
pub fn checks(all: &[Measured]) -> Vec<String> {
    let mut wrong = Vec::new();
    for measured in all {
        let (title, scene, size) = (measured.title, measured.scene, &measured.size);
        let Some(cost) = measured.cost() else {
            if [OURS, FLIP, TOLD].contains(&measured.name) {
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
    use crate::measure::{Cost, medians};

    fn measured(name: &'static str, program_ms: f64, zero_copy: f64) -> Measured {
        let result = Outcomes::Cost(Cost {
            frames: 480,
            seconds: 8.0,
            fps: 60.0,
            program_ms,
            user_ms: program_ms / 2.0,
            kernel_ms: Some(0.5),
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

    #[test]
    fn of_several_rounds_the_median_is_told_and_of_a_majority_that_failed_why() {
        let failed = || of("peer", Outcomes::Reason("it ended with 1".to_owned()));
        let rounds = vec![
            measured(OURS, 0.3, 1.0),
            failed(),
            measured(OURS, 0.1, 1.0),
            failed(),
            measured(OURS, 0.2, 1.0),
            measured("peer", 0.4, 0.0),
        ];
        let told = medians(rounds);
        let program: Vec<_> =
            told.iter().map(|it| (it.name, it.cost().map(|cost| cost.program_ms))).collect();
        assert_eq!(program, [(OURS, Some(0.2)), ("peer", None)]);
    }

    #[test]
    fn on_the_board_what_is_negotiated_is_not_copied_and_shared_memory_is() {
        let scene = |scene, zero_copy| Measured { scene, ..measured(OURS, 0.5, zero_copy) };
        assert_eq!(board_checks(&[scene("negotiated", 1.0), scene("shm", 0.0)]), Vec::<String>::new());
        assert_eq!(board_checks(&[scene("negotiated", 0.0), scene("shm", 1.0)]).len(), 2);
        let mut large = measured(OURS, 0.5, 0.0);
        if let Outcomes::Cost(cost) = &mut large.result {
            cost.resident_mib = 24.5;
        }
        assert_eq!(board_checks(&[large])[0], "heapwright, shm: 24.5 MiB resident, more than 24");
    }
}
