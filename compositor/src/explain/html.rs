//! The explanation as one page that needs nothing else: no script, no font, no picture from elsewhere.

use heapwright_alloc::{
    devices::ConnectorState,
    explain::{Explanation, Renderer},
    solver::Answer,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{ipc::SurfaceNow, msg::describe};

use super::{videos, words};

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .35rem .8rem; }
th { font-weight: 600; } td, th { border: 1px solid #8884; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
small { opacity: .7; display: block; }
.good { background: #2a9d4a33; } .bad { background: #d6404033; } .unsure { background: #d99a2033; }
ul.against { margin: .3rem 0 1rem; opacity: .8; } .answer { padding: .5rem .8rem; margin: .3rem 0; }
";

/// The page.
pub fn page(told: &Explanation, running: Option<&SurfaceNow>) -> String {
    let title = format!("Heapwright: where a buffer of {} goes on this machine", told.size);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { "Linux " (told.kernel) }
                @if let Some(surface) = running {
                    h2 { "The surface now" }
                    p { @for line in describe(surface).lines() { (line) br; } }
                }
                h2 { "Devices and heaps" @if !told.tried { " (not tried)" } }
                (matrix(told))
                h2 { "Where it would lie" }
                (answers(told))
                h2 { "Displays" }
                (displays(told))
                h2 { "Renderers" }
                (renderers(told))
                @if !told.videos.is_empty() {
                    h2 { "Cameras and codecs" }
                    (videos(told))
                }
                h2 { "Heaps" }
                (heaps(told))
                h2 { "Pools" }
                (pools(told))
                @if !told.unseen.is_empty() {
                    h2 { "Not seen" }
                    ul { @for it in &told.unseen { li class="unsure" { (it.why) } } }
                }
            }
        }
    };
    page.into_string()
}

/// Displays and GPUs down, heaps across.
fn matrix(told: &Explanation) -> Markup {
    html! {
        @if told.links.is_empty() { p { "There is no display and no GPU that could be opened." } }
        @else {
            table {
                tr { th {} @for heap in &told.heaps { th { (heap.names.join(", ")) small { code { (heap.id) } } } } }
                @for (name, driver) in rows(told) {
                    tr {
                        th { (name) small { (driver) } }
                        @for heap in &told.heaps {
                            @match told.links.iter().find(|it| it.device == name && it.heap == heap.id) {
                                Some(cell) => td class=(class(words::verdict(cell))) {
                                    (words::verdict(cell))
                                    small { (words::evidence(cell)) }
                                    small { (words::because(cell)) }
                                },
                                None => td {},
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The devices that links speak of, with their drivers.
fn rows(told: &Explanation) -> Vec<(&str, &str)> {
    let mut rows: Vec<&str> = told.links.iter().map(|link| link.device.as_str()).collect();
    rows.dedup();
    let driver = |name: &str| {
        let display = told.displays.iter().find(|it| it.name == name).map(|it| it.driver.as_str());
        let renderer = told.renderers.iter().find(|it| it.name == name);
        let video = told.videos.iter().find(|it| it.name == name).map(|it| it.driver.as_str());
        display.or_else(|| renderer?.driver.as_deref()).or(video).unwrap_or_default()
    };
    rows.into_iter().map(|name| (name, driver(name))).collect()
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        "usable" => "good",
        "unknown" => "unsure",
        _ => "bad",
    }
}

fn answers(told: &Explanation) -> Markup {
    html! {
        @for place in &told.answers {
            @let class = match &place.answer {
                Answer::Solved(resolution) if resolution.dropped.is_empty() => "answer good",
                Answer::Solved(_) => "answer unsure",
                _ => "answer bad",
            };
            div class=(class) { b { (words::whose(told, place)) } br; (words::answer(told, place)) }
            ul class="against" { @for line in words::rejected(place) { li { (line) } } }
        }
    }
}

fn displays(told: &Explanation) -> Markup {
    html! {
        @for display in &told.displays {
            p {
                b { (display.name) } " (" (display.driver) ", " code { (display.path.display()) } "): memory in pieces: "
                (words::known(display.takes_scattered)) "; IOMMU: " @if display.iommu { "yes" } @else { "no" }
                "; buffers up to " (display.max_size) ", pointer up to " (display.cursor_size)
            }
            table {
                tr { th { "connector" } th { "state" } th { "CRTCs" } }
                @for connector in &display.connectors {
                    tr {
                        td { (connector.name) }
                        td {
                            @if connector.writeback { "writes to memory" }
                            @else {
                                @match connector.state {
                                    ConnectorState::Connected => { "connected" }
                                    ConnectorState::Disconnected => { "not connected" }
                                    ConnectorState::Unknown => { "unknown: nobody has looked" }
                                }
                            }
                        }
                        td { (list(&connector.crtcs)) }
                    }
                }
            }
            table {
                tr { th { "plane" } th { "kind" } th { "CRTCs" } th { "formats" } }
                @for plane in &display.planes {
                    tr {
                        td { (plane.name) }
                        td { (plane.kind) }
                        td { (list(&plane.crtcs)) }
                        td { @for line in words::formats(&plane.formats) { div { (line) } } }
                    }
                }
            }
            @if !display.quirks.is_empty() {
                ul { @for rule in &display.quirks { li { "quirk " code { (rule.id) } ": " (rule.why) " (" (rule.source) ")" } } }
            }
        }
    }
}

fn renderers(told: &Explanation) -> Markup {
    html! {
        @if !told.renderers.is_empty() {
            table {
                tr { th { "renderer" } th { "API" } th { "driver" } th { "imports" } }
                @for renderer in &told.renderers {
                    @if renderer.apis.is_empty() {
                        tr { (renderer_name(renderer, 1)) td class="unsure" colspan="3" { (words::nothing_said(renderer)) } }
                    }
                    @for (index, api) in renderer.apis.iter().enumerate() {
                        tr {
                            @if index == 0 { (renderer_name(renderer, renderer.apis.len())) }
                            td { (api.api) }
                            td { (api.driver) }
                            td class=[api.silent.is_some().then_some("unsure")] {
                                (words::imports(api))
                                @if api.silent.is_none() {
                                    details {
                                        summary { "which" }
                                        @for line in words::formats(&api.draws) { div { "drawn to: " (line) } }
                                        @for line in words::formats(&api.reads) { div { "read: " (line) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        p { (words::reader(told)) }
    }
}

fn renderer_name(renderer: &Renderer, rows: usize) -> Markup {
    html! { th rowspan=(rows) { (renderer.name) small { (words::nodes(renderer)) } } }
}

fn videos(told: &Explanation) -> Markup {
    let (known, others) = videos::all(told);
    html! {
        @for it in known {
            p { b { (it.name) } " (" (it.label) "): " (it.does) }
            ul { @for line in &it.below { li { (line) } } }
        }
        @if let Some(line) = others { p { (line) } }
    }
}

fn list(ids: &[u32]) -> String {
    let all: Vec<_> = ids.iter().map(ToString::to_string).collect();
    all.join(", ")
}

fn heaps(told: &Explanation) -> Markup {
    let tick = |yes: bool| if yes { "yes" } else { "" };
    html! {
        table {
            tr { th { "heap" } th { "names" } th { "pool" } th { "contiguous" } th { "cached" } th { "protected" } th { "most a buffer" } }
            @for heap in &told.heaps {
                tr {
                    td { code { (heap.id) } }
                    td { (heap.names.join(", ")) }
                    td { code { (heap.pool()) } }
                    td { (tick(heap.contiguous)) }
                    td { (tick(heap.cached)) }
                    td { (tick(heap.protected)) }
                    td { @if let Some(most) = heap.max_bytes { (words::bytes(most)) } }
                }
            }
        }
    }
}

fn pools(told: &Explanation) -> Markup {
    html! {
        table {
            tr { th { "pool" } th { "free" } th { "in all" } th { "heaps" } }
            @for pool in &told.pools {
                tr {
                    td { code { (pool.id) } }
                    td { @if let Some(free) = pool.free { (words::bytes(free)) } }
                    td { @if let Some(all) = pool.capacity { (words::bytes(all)) } @else { "elastic" } }
                    td { (pool.heaps.join(", ")) }
                }
            }
        }
    }
}
