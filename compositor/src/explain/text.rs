//! The explanation for a terminal.

use anstyle::{AnsiColor, Style};
use heapwright_alloc::{
    devices::ConnectorState,
    explain::{Display, Explanation, LinkCell, Renderer},
    solver::Answer,
};

use crate::{ipc::SurfaceNow, msg::describe};

use super::{
    columns::{Cell, Columns},
    videos, words,
};

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();

/// The whole text, with colours as escape sequences.
pub fn render(told: &Explanation, running: Option<&SurfaceNow>) -> String {
    let mut text = String::new();
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            text.push_str(&format!("{HEADING}{title}{HEADING:#}\n{body}\n"));
        }
    };
    section(
        "The surface now",
        running.map_or_else(String::new, |surface| format!("  {}\n", describe(surface))),
    );
    section("Displays", told.displays.iter().map(display).collect());
    section("Renderers", renderers(told));
    section("Cameras and codecs", videos(told));
    section("Heaps", heaps(told));
    section("Pools", pools(told));
    let title = if told.tried {
        format!("Devices and heaps, tried with a buffer of {}", told.size)
    } else {
        "Devices and heaps, not tried".to_owned()
    };
    section(&title, links(told));
    section(&format!("Where a buffer of {} would lie", told.size), answers(told));
    section("Not seen", unseen(told));
    text
}

fn display(display: &Display) -> String {
    let mut text = format!(
        "  {} {FAINT}({}, {}){FAINT:#}: takes memory in pieces: {}; IOMMU: {}; buffers up to {}, pointer up to {}\n",
        display.name,
        display.driver,
        display.path.display(),
        words::known(display.takes_scattered),
        if display.iommu { "yes" } else { "no" },
        display.max_size,
        display.cursor_size,
    );
    let mut columns = Columns::default();
    for connector in &display.connectors {
        let state = match (connector.writeback, connector.state) {
            (true, _) => Cell::styled("writes to memory", FAINT),
            (_, ConnectorState::Connected) => Cell::styled("connected", GOOD),
            (_, ConnectorState::Disconnected) => Cell::styled("not connected", FAINT),
            (_, ConnectorState::Unknown) => Cell::styled("unknown: nobody has looked", FAINT),
        };
        columns.row([connector.name.clone().into(), state, format!("CRTC {}", ids(&connector.crtcs)).into()]);
    }
    for crtc in &display.crtcs {
        let mode = crtc.active.map_or_else(|| "dark".to_owned(), |size| format!("shows {size}"));
        columns.row([format!("CRTC {}", crtc.id).into(), mode.into()]);
    }
    for plane in &display.planes {
        let (name, kind) = (plane.name.clone(), plane.kind);
        for (index, line) in words::formats(&plane.formats).into_iter().enumerate() {
            let first = if index == 0 { (name.as_str(), kind) } else { ("", "") };
            let crtcs = if index == 0 { format!("CRTC {}", ids(&plane.crtcs)) } else { String::new() };
            columns.row([first.0.into(), first.1.into(), crtcs.into(), line.into()]);
        }
    }
    text.push_str(&columns.render(4));
    for rule in &display.quirks {
        text.push_str(&format!("    quirk {}: {} {FAINT}({}){FAINT:#}\n", rule.id, rule.why, rule.source));
    }
    text
}

fn renderers(told: &Explanation) -> String {
    let mut text: String = told.renderers.iter().map(renderer).collect();
    text.push_str(&format!("  {}\n", words::reader(told)));
    text
}

fn renderer(renderer: &Renderer) -> String {
    let mut text = format!("  {} {FAINT}({}){FAINT:#}", renderer.name, words::nodes(renderer));
    let mut columns = Columns::default();
    for api in &renderer.apis {
        columns.row([
            api.api.to_string().into(),
            Cell::styled(api.driver.clone(), FAINT),
            Cell::styled(words::imports(api), if api.silent.is_some() { UNSURE } else { Style::new() }),
        ]);
    }
    if renderer.apis.is_empty() {
        text.push_str(&format!(": {}", words::nothing_said(renderer)));
    }
    text.push('\n');
    text.push_str(&columns.render(4));
    text
}

fn videos(told: &Explanation) -> String {
    let (known, others) = videos::all(told);
    let mut text = String::new();
    for it in known {
        text.push_str(&format!("  {} {FAINT}({}){FAINT:#}: {}\n", it.name, it.label, it.does));
        it.below.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    others.iter().for_each(|line| text.push_str(&format!("  {FAINT}{line}{FAINT:#}\n")));
    text
}

fn ids(ids: &[u32]) -> String {
    let all: Vec<_> = ids.iter().map(ToString::to_string).collect();
    all.join(", ")
}

fn heaps(told: &Explanation) -> String {
    let mut columns = Columns::default();
    for heap in &told.heaps {
        let mut is: Vec<String> = Vec::new();
        let mut say = |what: bool, word: &str| is.extend(what.then(|| word.to_owned()));
        say(heap.contiguous, "contiguous");
        say(heap.cached, "cached");
        say(heap.protected, "protected");
        is.extend(heap.max_bytes.map(|most| format!("at most {} a buffer", words::bytes(most))));
        let pool = format!("pool {}", heap.pool());
        columns.row([
            heap.id.clone().into(),
            Cell::styled(heap.names.join(", "), FAINT),
            pool.into(),
            is.join(", ").into(),
        ]);
    }
    columns.render(2)
}

fn pools(told: &Explanation) -> String {
    let mut columns = Columns::default();
    for pool in &told.pools {
        let amount = match (pool.free, pool.capacity) {
            (Some(free), Some(all)) => format!("{} of {} free", words::bytes(free), words::bytes(all)),
            (None, Some(all)) => format!("{} in all", words::bytes(all)),
            (Some(free), None) => format!("{} free", words::bytes(free)),
            (None, None) => "elastic".to_owned(),
        };
        columns.row([
            pool.id.clone().into(),
            amount.into(),
            format!("heaps {}", pool.heaps.join(", ")).into(),
        ]);
    }
    columns.render(2)
}

fn links(told: &Explanation) -> String {
    let mut columns = Columns::default();
    for cell in &told.links {
        columns.row([
            cell.device.clone().into(),
            cell.heap.clone().into(),
            Cell::styled(words::verdict(cell), style(cell)),
            words::evidence(cell).into(),
            Cell::styled(words::because(cell), FAINT),
        ]);
    }
    columns.render(2)
}

fn style(cell: &LinkCell) -> Style {
    match words::verdict(cell) {
        "usable" => GOOD,
        "unknown" => UNSURE,
        _ => BAD,
    }
}

fn answers(told: &Explanation) -> String {
    let mut text = String::new();
    for place in &told.answers {
        let style = match &place.answer {
            Answer::Solved(resolution) if resolution.dropped.is_empty() => GOOD,
            Answer::Solved(_) => UNSURE,
            _ => BAD,
        };
        let (whose, answer) = (words::whose(told, place), words::answer(told, place));
        text.push_str(&format!("  {whose}\n    {style}{answer}{style:#}\n"));
        for line in words::rejected(place) {
            text.push_str(&format!("    {FAINT}{line}{FAINT:#}\n"));
        }
    }
    text
}

fn unseen(told: &Explanation) -> String {
    let mut columns = Columns::default();
    for it in &told.unseen {
        columns.row([Cell::styled(it.why.clone(), UNSURE)]);
    }
    columns.render(2)
}
