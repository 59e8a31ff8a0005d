//! What people read, and whether it can be true.

use std::fmt::Write as _;

use crate::measure::{Measured, Outcomes};

/// The peer whose frames the others' are compared with.
const OURS: &str = "heapwright-heap";
/// Its rival inside the house: the same client through shared memory.
const OURS_SHM: &str = "heapwright-shm";

/// A table for each size, and what did not run.
pub fn render(all: &[Measured]) -> String {
    let mut text = String::new();
    let mut sizes: Vec<&str> = all.iter().map(|measured| measured.size.as_str()).collect();
    sizes.dedup();
    for size in sizes {
        let of_size = || all.iter().filter(|measured| measured.size == size);
        let program = |name: &str| find(all, size, name).map(|cost| cost.program_ms);
        let (heap, shm) = (program(OURS), program(OURS_SHM));
        let _ = writeln!(text, "{size}, milliseconds a presented frame");
        let _ = writeln!(
            text,
            "{:<26} {:>7} {:>6} {:>6} {:>7} {:>7} {:>6} {:>6} {:>8} {:>8} {:>7} {:>6}",
            "",
            "program",
            "/heap",
            "/shm",
            "of user",
            "kernel",
            "fps",
            "0-copy",
            "resident",
            "of it",
            "start",
            "frames"
        );
        let _ = writeln!(text, "{:>92} {:>8}", "MiB", "anon");
        for measured in of_size() {
            let title = measured.title;
            let Outcomes::Cost(cost) = &measured.result else { continue };
            let start = cost.start_ms.map_or("-".to_owned(), |start| format!("{start:.0}"));
            let _ = writeln!(
                text,
                "{title:<26} {:>7.3} {:>6} {:>6} {:>7.3} {:>7.3} {:>6.1} {:>5.0}% {:>8.1} {:>8.1} {start:>7} {:>6}",
                cost.program_ms,
                ratio(cost.program_ms, heap),
                ratio(cost.program_ms, shm),
                cost.user_ms,
                cost.kernel_ms,
                cost.fps,
                cost.zero_copy * 100.0,
                cost.resident_mib,
                cost.anonymous_mib,
                cost.frames,
            );
        }
        for measured in of_size() {
            if let Outcomes::Reason(reason) = &measured.result {
                let _ = writeln!(text, "{:<26} not measured: {reason}", measured.title);
            }
        }
        text.push('\n');
    }
    text.push_str(
        "program: processor time of the program, its way to the guest's kernel and back included; of it, user: in its own \
         code, as the\nhost's ticks tell. kernel: all of the guest's kernel, for every process and the display. /heap, \
         /shm: program over heapwright's\nwith either client. start: milliseconds from exec to the client's first frame \
         on the screen.\n",
    );
    text
}

fn ratio(value: f64, of: Option<f64>) -> String {
    match of {
        Some(of) if of > 0.0 => format!("{:.1}", value / of),
        _ => "-".to_owned(),
    }
}

fn find<'a>(all: &'a [Measured], size: &str, name: &str) -> Option<&'a crate::measure::Cost> {
    all.iter().find(|measured| measured.size == size && measured.name == name)?.cost()
}

/// What can't be true, or must not be.
pub fn checks(all: &[Measured]) -> Vec<String> {
    let mut wrong = Vec::new();
    for measured in all {
        let (title, size) = (measured.title, &measured.size);
        let Some(cost) = measured.cost() else {
            if [OURS, OURS_SHM, "flip"].contains(&measured.name) {
                wrong.push(format!("{title} at {size} must run"));
            }
            continue;
        };
        let busy = cost.program_ms * cost.frames as f64 / 1e3;
        if busy > cost.seconds * 1.05 && !title.contains("GLES") {
            wrong.push(format!("{title} at {size}: {busy:.1} s of one processor in {:.1} s", cost.seconds));
        }
        if measured.name == OURS && cost.zero_copy < 0.98 {
            wrong.push(format!("{title} at {size}: only {:.1} % zero-copy", cost.zero_copy * 100.0));
        }
        if measured.name.ends_with("-shm") && cost.zero_copy > 0.0 {
            wrong.push(format!("{title} at {size}: shared memory shown without a copy"));
        }
        if measured.name.ends_with("-shm")
            && find(all, size, OURS).is_some_and(|ours| ours.program_ms >= cost.program_ms)
        {
            wrong.push(format!("{title} at {size} copies every pixel, but costs less than no copy at all"));
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
            resident_mib: 10.0,
            anonymous_mib: 5.0,
            start_ms: Some(900.0),
        });
        Measured { name, title: name, size: "1024x768".to_owned(), result }
    }

    #[test]
    fn what_did_not_run_is_listed_and_ratios_are_of_the_programs_time() {
        let mut all = vec![measured(OURS, 0.1, 1.0), measured(OURS_SHM, 0.4, 0.0)];
        let result = Outcomes::Reason("it ended with 1; it said: no luck".to_owned());
        all.push(Measured { name: "peer", title: "peer", size: "1024x768".to_owned(), result });
        let text = render(&all);
        assert!(
            text.contains("peer                       not measured: it ended with 1; it said: no luck"),
            "{text}"
        );
        let line = text.lines().find(|line| line.starts_with(OURS_SHM)).unwrap_or_default();
        assert!(line.contains("4.0    1.0"), "{text}");
        assert_eq!(checks(&all), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let all = [measured(OURS, 0.5, 0.5), measured(OURS_SHM, 0.4, 0.1)];
        assert_eq!(checks(&all).len(), 3);
        let slow = [measured(OURS, 0.5, 1.0), measured("x", 17.8, 0.0)];
        assert!(checks(&slow)[0].contains("8.5 s of one processor"), "{:?}", checks(&slow));
    }
}
