//! Sentences that the text and the page share.

use heapwright_alloc::{
    devices::ConnectorState,
    explain::{Explanation, LinkCell, Renderer, RendererApi, Where},
    solver::{Answer, Culprit, Reason, Rejected, problem::Verdict},
};

/// Bytes for people: `8.0 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Yes, no, or not known.
pub fn known(what: Option<bool>) -> &'static str {
    what.map_or("unknown", |yes| if yes { "yes" } else { "no" })
}

/// What came of one display with one heap, in a few words.
pub fn verdict(cell: &LinkCell) -> &'static str {
    match (cell.verdict, cell.usable) {
        (Verdict::Accepts, true) => "usable",
        (Verdict::Accepts, false) => "accepted, but not usable",
        (Verdict::Refuses, _) => "refused",
        (Verdict::Unknown, true) => "unknown",
        (Verdict::Unknown, false) => "not usable",
    }
}

/// How that is known.
pub fn evidence(cell: &LinkCell) -> String {
    match cell.bytes {
        Some(size) => format!("{} at {}", cell.evidence.as_str(), bytes(size)),
        None => cell.evidence.as_str().to_owned(),
    }
}

/// What was tried, or who is against it.
pub fn because(cell: &LinkCell) -> String {
    let mut parts: Vec<String> =
        cell.steps.iter().map(|step| format!("{} {}", step.what, step.outcome)).collect();
    // A refusal that was tried speaks for itself.
    if !cell.usable && (cell.verdict != Verdict::Refuses || parts.is_empty()) {
        parts.push(conflict(&cell.against));
    }
    if cell.verdict == Verdict::Accepts && cell.against.iter().any(|it| it.field == "contiguous") {
        parts.push("this buffer lay in one piece by luck, the next may not".to_owned());
    }
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

/// Who contradicts whom.
pub fn conflict(culprits: &[Culprit]) -> String {
    let parts: Vec<_> =
        culprits.iter().map(|it| format!("{} says {} {}", it.participant, it.field, it.value)).collect();
    parts.join(", ")
}

/// What one reason is about: `heap h0`, `XR24 LINEAR`, `panel plane-31`.
fn what(rejected: &Rejected) -> String {
    let mut words = Vec::new();
    words.extend(rejected.heap.as_ref().map(|heap| format!("heap {heap}")));
    words.extend(rejected.format.as_ref().map(ToString::to_string));
    words.extend(rejected.modifier.as_ref().map(ToString::to_string));
    words.extend(rejected.participant.clone());
    words.extend(rejected.alternative.clone());
    words.join(" ")
}

/// Why what was not taken was not: what is rejected on the same ground stands together.
pub fn grouped(reasons: &[Reason]) -> Vec<String> {
    let mut groups: Vec<(&Reason, Vec<String>)> = Vec::new();
    for reason in reasons {
        let ground = |it: &Reason| (it.participant.clone(), it.field.clone(), it.value.clone());
        match groups.iter_mut().find(|(first, _)| ground(first) == ground(reason)) {
            Some((_, all)) => all.push(what(&reason.rejected)),
            None => groups.push((reason, vec![what(&reason.rejected)])),
        }
    }
    groups
        .into_iter()
        .map(|(ground, all)| {
            let Reason { participant, field, value, .. } = ground;
            let why = match (&**participant, &**field) {
                ("(cost)", "order") => "as good, but later in order".to_owned(),
                ("(cost)", field) => format!("costs more: {field} {value}"),
                (participant, field) => format!("{participant} {field} {value}"),
            };
            format!("not {}: {why}", all.join(", "))
        })
        .collect()
}

/// What a renderer is made of: its driver and nodes.
pub fn nodes(renderer: &Renderer) -> String {
    if renderer.software {
        return "no device: the CPU".to_owned();
    }
    let mut words: Vec<String> = renderer.driver.iter().cloned().collect();
    let nodes = renderer.primary.iter().chain(&renderer.render);
    words.extend(nodes.map(|node| node.display().to_string()));
    words.extend(renderer.emulated.then(|| "drawn for by the CPU".to_owned()));
    words.join(", ")
}

/// Why nothing is said of a renderer.
pub fn nothing_said(renderer: &Renderer) -> &'static str {
    if renderer.asked { "no driver knows it" } else { "not asked what it imports" }
}

/// How much one API says that a renderer imports.
pub fn imports(api: &RendererApi) -> String {
    match &api.silent {
        Some(why) => format!("does not say what it imports: {why}"),
        None => format!(
            "imports {} formats, {} pairs with a modifier, of which it draws to {}",
            api.reads.len(),
            api.pairs,
            api.drawn
        ),
    }
}

/// Which renderer takes part in the answers, and why.
pub fn reader(told: &Explanation) -> String {
    let chosen = &told.renderer;
    match (&chosen.name, chosen.api) {
        (None, _) => format!("No renderer takes part below: {}.", chosen.why),
        (Some(name), Some(api)) => format!(
            "{name} takes part below, as {api} imports: {}. This compositor itself draws with the CPU (--renderer cpu).",
            chosen.why
        ),
        (Some(_), None) => format!("The CPU reads the buffer below, as with pixman: {}.", chosen.why),
    }
}

/// Whose buffer an answer is about.
pub fn whose(told: &Explanation, place: &Where) -> String {
    let Some(device) = &place.device else { return "composited, no display".to_owned() };
    let crtc = place.crtc.map_or_else(String::new, |crtc| format!(", CRTC {crtc}"));
    let screens = match place.connectors.as_slice() {
        [] => nothing_connected(told, place).to_owned(),
        names => format!(" ({})", names.join(", ")),
    };
    format!("{device}{crtc}{screens}")
}

/// Whether it is known that no screen is connected, where none is known to be.
fn nothing_connected(told: &Explanation, place: &Where) -> &'static str {
    let display = told.displays.iter().find(|display| Some(&display.name) == place.device.as_ref());
    let screens = display.into_iter().flat_map(|display| &display.connectors).filter(|it| !it.writeback);
    let mut here = screens.filter(|it| place.crtc.is_none_or(|crtc| it.crtcs.contains(&crtc)));
    if here.any(|connector| connector.state == ConnectorState::Unknown) {
        ", whether a screen is connected is unknown"
    } else {
        ", nothing connected"
    }
}

/// The answer in one sentence.
pub fn answer(told: &Explanation, place: &Where) -> String {
    match &place.answer {
        Answer::Solved(resolution) => {
            let names = told.heaps.iter().find(|heap| heap.id == resolution.heap);
            let names = names.map_or_else(String::new, |heap| heap.names.join(", "));
            let pitch = resolution.planes.first().map_or(0, |plane| plane.pitch);
            let shown = match (&place.device, resolution.alternatives.get("display")) {
                (None, _) => String::new(),
                (Some(_), Some(plane)) => format!("; {plane} shows it without a copy"),
                (Some(_), None) if resolution.satisfied.iter().any(|name| name == "display") => {
                    "; shown without a copy".to_owned()
                }
                (Some(_), None) => "; no plane takes it, it is copied every frame".to_owned(),
            };
            format!(
                "{} of {} {} {}, pitch {pitch}, {} each, from heap {} ({names}), pool {}{shown}",
                resolution.count,
                told.size,
                resolution.format,
                resolution.modifier,
                bytes(resolution.size),
                resolution.heap,
                resolution.pool,
            )
        }
        Answer::Unsatisfiable { conflict: culprits, .. } => {
            format!("nowhere: these cannot hold together: {}", conflict(culprits))
        }
        Answer::Underconstrained { why, .. } => format!("not known: too little is said: {why}"),
        Answer::SearchLimit { bound } => format!("not known: the search was given up after {bound} steps"),
        Answer::Invalid { where_, why } => format!("the question makes no sense: {where_}: {why}"),
    }
}

/// Everything that was not taken, and why.
pub fn rejected(place: &Where) -> Vec<String> {
    match &place.answer {
        Answer::Solved(resolution) => grouped(&resolution.reasons),
        Answer::Unsatisfiable { reasons, .. } => grouped(reasons),
        _ => Vec::new(),
    }
}

/// Formats and modifiers of a plane, formats with the same modifiers together.
pub fn formats(lines: &[heapwright_alloc::explain::FormatLine]) -> Vec<String> {
    let mut groups: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for line in lines {
        let modifiers: Vec<String> = line.modifiers.iter().map(ToString::to_string).collect();
        match groups.iter_mut().find(|(_, known)| *known == modifiers) {
            Some((formats, _)) => formats.push(line.format.to_string()),
            None => groups.push((vec![line.format.to_string()], modifiers)),
        }
    }
    groups
        .into_iter()
        .map(|(formats, modifiers)| format!("{} as {}", formats.join(" "), modifiers.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapwright_alloc::{
        constraints::{Fourcc, Modifier, Size},
        devices::RenderApi,
        explain::{Chosen, Connector, Display, FormatLine},
        solver::Problem,
    };

    fn explanation(display: Option<Display>, renderer: Chosen) -> Explanation {
        Explanation {
            kernel: String::new(),
            size: Size::new(8, 8),
            tried: false,
            displays: Vec::from_iter(display),
            renderers: Vec::new(),
            videos: Vec::new(),
            renderer,
            heaps: Vec::new(),
            pools: Vec::new(),
            links: Vec::new(),
            answers: Vec::new(),
            unseen: Vec::new(),
        }
    }

    #[test]
    fn a_screen_that_nobody_looked_for_is_not_said_to_be_missing() {
        let connector = |state, writeback, crtc| Connector {
            name: "DP-1".to_owned(),
            state,
            writeback,
            crtcs: vec![crtc],
        };
        let said = |connectors: &[Connector]| {
            let display = Display {
                name: "card0".to_owned(),
                path: "/dev/dri/card0".into(),
                driver: String::new(),
                iommu: false,
                takes_scattered: None,
                modifiers: true,
                min_size: Size::new(1, 1),
                max_size: Size::new(8, 8),
                cursor_size: Size::new(8, 8),
                crtcs: Vec::new(),
                connectors: connectors.to_vec(),
                planes: Vec::new(),
                quirks: Vec::new(),
            };
            let place = Where {
                device: Some("card0".to_owned()),
                crtc: Some(7),
                connectors: Vec::new(),
                problem: Problem::default(),
                answer: Answer::SearchLimit { bound: 1 },
            };
            whose(&explanation(Some(display), Chosen::default()), &place)
        };
        use ConnectorState::{Disconnected, Unknown};
        let unknown = "card0, CRTC 7, whether a screen is connected is unknown";
        let nothing = "card0, CRTC 7, nothing connected";
        assert_eq!(said(&[connector(Disconnected, false, 7), connector(Unknown, false, 7)]), unknown);
        assert_eq!(said(&[connector(Disconnected, false, 7), connector(Unknown, true, 7)]), nothing);
        assert_eq!(said(&[connector(Disconnected, false, 7), connector(Unknown, false, 8)]), nothing);
    }

    #[test]
    fn the_renderer_is_named_with_its_api_and_the_reason() {
        let said = |name: Option<&str>, api, why: &str| {
            let chosen = Chosen { name: name.map(str::to_owned), api, why: why.to_owned() };
            reader(&explanation(None, chosen))
        };
        let gpu = said(Some("card0"), Some(RenderApi::Vulkan), "it was named");
        assert!(gpu.starts_with("card0 takes part below, as Vulkan imports: it was named."), "{gpu}");
        assert_eq!(
            said(Some("cpu"), None, "no GPU"),
            "The CPU reads the buffer below, as with pixman: no GPU."
        );
        assert_eq!(said(None, None, "nobody"), "No renderer takes part below: nobody.");
    }

    #[test]
    fn a_driver_that_says_nothing_is_told_with_the_reason() {
        let api = RendererApi {
            api: RenderApi::Egl,
            driver: "some".to_owned(),
            silent: None,
            pairs: 3,
            drawn: 1,
            reads: vec![FormatLine { format: Fourcc::NV12, modifiers: vec![Modifier::LINEAR] }],
            draws: Vec::new(),
        };
        assert_eq!(imports(&api), "imports 1 formats, 3 pairs with a modifier, of which it draws to 1");
        let silent = RendererApi { silent: Some("its driver did not start".to_owned()), ..api };
        assert_eq!(imports(&silent), "does not say what it imports: its driver did not start");
    }

    #[test]
    fn bytes_are_readable() {
        for (count, said) in
            [(0, "0 bytes"), (1023, "1023 bytes"), (8_294_400, "7.9 MiB"), (u64::MAX, "16777216.0 TiB")]
        {
            assert_eq!(bytes(count), said);
        }
    }

    #[test]
    fn what_is_rejected_on_one_ground_stands_together() {
        let reason = |heap: &str, value: &str| Reason {
            rejected: Rejected { heap: Some(heap.to_owned()), ..Rejected::default() },
            participant: "panel".into(),
            field: "contiguous".into(),
            value: value.to_owned(),
        };
        let said = grouped(&[reason("h0", "true"), reason("h1", "no"), reason("h2", "true")]);
        assert_eq!(said, ["not heap h0, heap h2: panel contiguous true", "not heap h1: panel contiguous no"]);
        let dearer = |field: &'static str, value: &str| Reason {
            participant: "(cost)".into(),
            field: field.into(),
            ..reason("h0", value)
        };
        let said = grouped(&[dearer("cpu", "68 against 4"), dearer("order", "equal cost")]);
        assert_eq!(
            said,
            ["not heap h0: costs more: cpu 68 against 4", "not heap h0: as good, but later in order"]
        );
    }

    #[test]
    fn formats_with_the_same_modifiers_stand_together() {
        let line = |format, modifiers: &[Modifier]| FormatLine { format, modifiers: modifiers.to_vec() };
        let both = [Modifier::LINEAR, Modifier::INVALID];
        let said = formats(&[
            line(Fourcc::XRGB8888, &both),
            line(Fourcc::NV12, &both[..1]),
            line(Fourcc::ARGB8888, &both),
        ]);
        assert_eq!(said, ["XR24 AR24 as LINEAR, INVALID", "NV12 as LINEAR"]);
    }
}
