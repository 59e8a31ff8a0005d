//! Looking, trying and asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{
    Connector, Crtc, Display, Explanation, FormatLine, LinkCell, Plane, Pool, Tried, Unseen, Where,
};
use super::renderers::{self, RendererChoice};
use super::videos;
use crate::buffers::{Allocator, Layout, Want};
use crate::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use crate::devices::{self, KmsDevice, PlaneKind, RenderNode, cpu_participant};
use crate::heaps::{self, Heap, Root};
use crate::links::quirks::Table;
use crate::links::{LinkStore, Probe, probe, probe_renderer};
use crate::solver::problem::{Evidence, Link, Participant, Problem, Verdict};
use crate::solver::{Answer, PlaneLayout, solve};

/// Asked about when nobody says a size and no display has one.
const USUAL: Size = Size { width: 1920, height: 1080 };
/// What the display is called among the participants.
const DISPLAY: &str = "display";

/// Which buffer is asked about.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Its size in pixels; without one, that of the first display that is lit, else of the first screen that is plugged in,
    /// in the mode that suits it best, else 1920x1080.
    pub size: Option<Size>,
    /// Its format; without one, XR24 or AR24, whatever suits.
    pub format: Option<Fourcc>,
    /// How many; 0 and 1 are one.
    pub count: u32,
    /// Only this display, by name; without one, all.
    pub device: Option<String>,
    /// Who touches it besides the display; if empty, a client that paints with the CPU and a renderer that reads it.
    pub participants: Vec<Participant>,
    /// Which renderer that is.
    pub renderer: RendererChoice,
    /// Cameras and codecs that touch it, too, by name.
    pub with: Vec<String>,
    /// What is known of drivers: see [`installed`](crate::links::quirks::installed).
    pub quirks: Table,
    /// What earlier processes found out, so that it need not be tried again; what is found out now is added.
    pub store: Option<LinkStore>,
    /// Whether heaps are left untried: nothing is allocated then, links say what is declared only, and no renderer's driver
    /// is loaded.
    pub look_only: bool,
}

impl Question {
    fn formats(&self) -> Vec<Fourcc> {
        self.format.map_or_else(|| vec![Fourcc::XRGB8888, Fourcc::ARGB8888], |only| vec![only])
    }

    /// With everybody besides the display named.
    fn completed(&self, renderer: Option<Participant>) -> Question {
        let mut whole = self.clone();
        if whole.participants.is_empty() {
            let paints = CpuAccess { read: Frequency::None, write: Frequency::Often };
            whole.participants.push(cpu_participant("client", &self.formats(), paints));
            whole.participants.extend(renderer);
        }
        whole
    }

    fn want(&self, size: Size, display: Option<Participant>) -> Want<'static> {
        let mut participants = self.participants.clone();
        participants.extend(display);
        let count = self.count.max(1);
        Want { size, participants, count, name: "heapwright-explain", dma_buf_only: false, ..Want::default() }
    }

    fn display(&self, device: &KmsDevice, crtc: u32) -> Participant {
        let mut display = device.participant(crtc, DISPLAY);
        if let Some(format) = self.format {
            for option in display.alternatives.iter_mut().flatten() {
                option.options.retain(|option| option.format.allows(format));
            }
        }
        display
    }
}

/// Looks at this machine, tries, and asks. Never fails: what could not be seen is in the answer.
#[must_use]
pub fn explain(root: &Root, question: &Question) -> Explanation {
    let heaps = heaps::list(root);
    let found = devices::list(root);
    let mut unseen: Vec<Unseen> = heaps.problems.iter().map(|it| unseen(&it.path, &it.error)).collect();
    unseen.extend(found.problems.iter().map(|it| self::unseen(&it.path, &it.error)));
    let displays: Vec<&str> = found.devices.iter().map(KmsDevice::name).collect();
    let look_only = question.look_only;
    let renderers = renderers::look(root, &question.renderer, look_only, &displays, &question.formats());
    unseen.extend(renderers.unseen);
    let by_default = question.participants.is_empty();
    let question = &question.completed(renderers.participant);

    let mut allocator = Allocator::new(heaps).with_quirks(question.quirks.clone());
    if let Some(store) = &question.store {
        allocator = allocator.with_store(store.clone());
    }
    let wanted = |device: &KmsDevice| question.device.as_ref().is_none_or(|name| device.name() == name);
    for device in found.devices.into_iter().filter(wanted) {
        allocator.with_device(Arc::new(device));
    }
    for (node, _) in &renderers.nodes {
        allocator.with_renderer(Arc::clone(node));
    }
    if let Some(name) = &question.device {
        if allocator.devices().is_empty() {
            let why = format!(
                "no display that can be opened is called {name}: name one as in /dev/dri, e.g. card0"
            );
            unseen.push(Unseen { path: root.dev.join("dri").join(name), why });
        }
    }
    let lit = allocator.devices().iter().flat_map(|device| device.crtcs()).find_map(|crtc| crtc.active);
    let connectors = allocator.devices().iter().flat_map(|device| device.connectors());
    let plugged = connectors.filter(|it| it.is_connected() && !it.writeback).find_map(|it| it.mode);
    let size = question.size.or(lit).or(plugged).unwrap_or(USUAL);
    let videos = videos::look(root, question, size, &mut allocator);
    let question = &videos.join(question, question.participants.clone(), by_default);
    unseen.extend(videos.unseen);

    let mut links = Vec::new();
    let mut answers = Vec::new();
    for device in allocator.devices() {
        let crtc = shown(device).first().copied().unwrap_or_default();
        let participant = Participant { required: true, ..question.display(device, crtc) };
        let tries = |heap: &dyn Heap, layout: &Layout| probe(device, heap, layout);
        links.extend(cells(
            &allocator,
            device.name(),
            question,
            question.want(size, Some(participant)),
            tries,
        ));
        for crtc in shown(device) {
            answers.push(answer(&allocator, question, size, Some((device, crtc))));
        }
    }
    // Of a GPU that is a display, the display was tried.
    let only_renders = |node: &RenderNode| allocator.renderers().iter().any(|it| it.name() == node.name());
    for (node, participant) in renderers.nodes.iter().filter(|(node, _)| only_renders(node)) {
        let mut want = question.want(size, None);
        want.participants.retain(|it| it.name != renderers::RENDERER);
        want.participants.push(participant.clone());
        let tries = |heap: &dyn Heap, layout: &Layout| probe_renderer(node, heap, layout);
        links.extend(cells(&allocator, node.name(), question, want, tries));
    }
    links.extend(videos.links);
    if answers.is_empty() {
        answers.push(answer(&allocator, question, size, None));
    }
    if let Err(error) = allocator.save_links() {
        tracing::debug!(%error, "what was found out is not kept");
    }
    let facts = allocator.heap_facts();
    let mut pools: BTreeMap<&str, Pool> = BTreeMap::new();
    for heap in &facts {
        let pool = pools.entry(heap.pool()).or_insert_with(|| Pool {
            id: heap.pool().to_owned(),
            heaps: Vec::new(),
            capacity: None,
            free: None,
        });
        pool.heaps.push(heap.id.clone());
        pool.capacity = pool.capacity.or(heap.capacity);
        pool.free = pool.free.or(heap.free);
    }
    Explanation {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        size,
        tried: !question.look_only,
        displays: allocator.devices().iter().map(|device| display(&allocator, device)).collect(),
        renderers: renderers.list,
        renderer: renderers.chosen,
        videos: videos.list,
        pools: pools.into_values().collect(),
        heaps: facts,
        links,
        answers,
        unseen,
    }
}

fn unseen(path: &std::path::Path, error: &dyn std::error::Error) -> Unseen {
    Unseen { path: path.to_owned(), why: error.to_string() }
}

/// The CRTCs worth an answer: those of connected screens, or, with nothing connected, the first.
fn shown(device: &KmsDevice) -> Vec<u32> {
    let mut crtcs: Vec<u32> = Vec::new();
    for connector in device.connectors().iter().filter(|it| it.is_connected() && !it.writeback) {
        let free = connector.possible_crtcs.iter().find(|crtc| !crtcs.contains(crtc));
        crtcs.extend(free);
    }
    if crtcs.is_empty() {
        crtcs.extend(device.crtcs().first().map(|crtc| crtc.id));
    }
    crtcs
}

fn answer(
    allocator: &Allocator,
    question: &Question,
    size: Size,
    display: Option<(&KmsDevice, u32)>,
) -> Where {
    let want = question.want(size, display.map(|(device, crtc)| question.display(device, crtc)));
    let (problem, answer) = if question.look_only {
        let problem = allocator.problem(&want);
        let answer = solve(&problem);
        (problem, answer)
    } else {
        allocator.resolve(&want)
    };
    let connectors = display.map_or_else(Vec::new, |(device, crtc)| {
        let of_crtc =
            device.connectors().iter().filter(|it| it.is_connected() && it.possible_crtcs.contains(&crtc));
        of_crtc.map(|connector| connector.name.clone()).collect()
    });
    Where {
        device: display.map(|(device, _)| device.name().to_owned()),
        crtc: display.map(|(_, crtc)| crtc),
        connectors,
        problem,
        answer,
    }
}

/// One device with every heap.
fn cells(
    allocator: &Allocator,
    device: &str,
    question: &Question,
    want: Want<'_>,
    tries: impl Fn(&dyn Heap, &Layout) -> Probe,
) -> Vec<LinkCell> {
    let size = want.size;
    let mut problem = allocator.problem(&want);
    let layout = match solve(&problem) {
        Answer::Solved(resolution) => Layout::of(&resolution, size).ok(),
        _ => None,
    };
    let layout = layout.or_else(|| linear(size, question.format));
    let heaps = &allocator.heaps().heaps;
    let probes: Vec<Option<Probe>> = heaps
        .iter()
        .map(|heap| {
            let found = layout.as_ref().filter(|_| !question.look_only).map(|layout| {
                let pair = (layout.format(), layout.modifier());
                let known = allocator.links().known_of(device, heap.id().as_str(), layout.bytes(), pair);
                known.unwrap_or_else(|| {
                    let found = tries(&**heap, layout);
                    allocator.links().keep(found.clone(), pair);
                    found
                })
            })?;
            problem.links.push(found.link.clone());
            Some(found)
        })
        .collect();
    heaps.iter().zip(probes).map(|(heap, probe)| cell(device, &**heap, probe, &problem)).collect()
}

/// What is known of one device with one heap.
pub(super) fn cell(device: &str, heap: &dyn Heap, probe: Option<Probe>, problem: &Problem) -> LinkCell {
    let id = heap.id().as_str();
    let alone = Problem {
        heaps: problem.heaps.iter().filter(|facts| facts.id == id).cloned().collect(),
        ..problem.clone()
    };
    let (usable, against) = match solve(&alone) {
        Answer::Solved(_) => (true, Vec::new()),
        Answer::Unsatisfiable { conflict, .. } => (false, conflict),
        _ => (false, Vec::new()),
    };
    let known = strongest(&problem.links, device, id);
    LinkCell {
        device: device.to_owned(),
        heap: id.to_owned(),
        verdict: known.map_or(Verdict::Unknown, |link| link.verdict),
        evidence: known.map_or(Evidence::Unknown, |link| link.evidence),
        bytes: known.and_then(|link| link.bytes),
        steps: probe.as_ref().map_or_else(Vec::new, Tried::all),
        usable,
        against,
    }
}

/// What counts of several statements on one pair: the strongest evidence, but a refusal by the table before a probe that
/// passed, and a refusal before an acceptance.
fn strongest<'a>(links: &'a [Link], device: &str, heap: &str) -> Option<&'a Link> {
    let said = links
        .iter()
        .filter(|link| link.device == device && link.heap == heap && link.verdict != Verdict::Unknown);
    said.min_by_key(|link| {
        let refuses = link.verdict == Verdict::Refuses;
        let rank = match (link.evidence, refuses) {
            (Evidence::Declared, _) => 0,
            (Evidence::Table, true) => 1,
            (Evidence::Probed, _) => 2,
            (Evidence::Table, false) => 3,
            (Evidence::Unknown, _) => 4,
        };
        (rank, !refuses)
    })
}

/// A picture without padding, for trying heaps where the solver finds no layout at all.
fn linear(size: Size, format: Option<Fourcc>) -> Option<Layout> {
    let format = format.unwrap_or(Fourcc::XRGB8888);
    let pitch = u64::from(size.width).checked_mul(4)?;
    let bytes = pitch.checked_mul(u64::from(size.height))?;
    let plane = PlaneLayout { offset: 0, pitch, size: bytes };
    Layout::new(size, format, Modifier::LINEAR, vec![plane], bytes).ok()
}

fn display(allocator: &Allocator, device: &KmsDevice) -> Display {
    let limits = device.limits();
    Display {
        name: device.name().to_owned(),
        path: device.path().to_owned(),
        driver: device.driver().to_owned(),
        iommu: device.behind_iommu(),
        takes_scattered: device.takes_scattered(),
        modifiers: device.caps().addfb2_modifiers,
        min_size: limits.min,
        max_size: limits.max,
        cursor_size: limits.cursor,
        crtcs: device.crtcs().iter().map(|crtc| Crtc { id: crtc.id, active: crtc.active }).collect(),
        connectors: device.connectors().iter().map(connector).collect(),
        planes: device.planes().iter().map(plane).collect(),
        quirks: allocator.quirks_of(device),
    }
}

fn connector(connector: &devices::Connector) -> Connector {
    Connector {
        name: connector.name.clone(),
        state: connector.state,
        writeback: connector.writeback,
        crtcs: connector.possible_crtcs.clone(),
    }
}

fn plane(plane: &devices::Plane) -> Plane {
    Plane {
        name: plane.name(),
        kind: match plane.kind {
            PlaneKind::Primary => "primary",
            PlaneKind::Overlay => "overlay",
            PlaneKind::Cursor => "cursor",
        },
        crtcs: plane.possible_crtcs.clone(),
        formats: format_lines(plane.options.iter().copied()),
    }
}

/// Pairs with the modifiers of a format together, in the order of the first of each.
pub(super) fn format_lines(pairs: impl Iterator<Item = (Fourcc, Modifier)>) -> Vec<FormatLine> {
    let mut lines: Vec<FormatLine> = Vec::new();
    for (format, modifier) in pairs {
        match lines.iter_mut().find(|line| line.format == format) {
            Some(line) => line.modifiers.push(modifier),
            None => lines.push(FormatLine { format, modifiers: vec![modifier] }),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::problem::Match;

    fn link(verdict: Verdict, evidence: Evidence) -> Link {
        Link { device: "d".into(), heap: "h".into(), verdict, evidence, bytes: None }
    }

    #[test]
    fn the_statement_that_counts_is_the_one_the_solver_goes_by() {
        use Evidence::{Declared, Probed, Table, Unknown};
        use Verdict::{Accepts, Refuses};
        for (said, counts) in [
            (vec![(Accepts, Probed), (Refuses, Table)], Some((Refuses, Table))),
            (vec![(Accepts, Table), (Refuses, Probed)], Some((Refuses, Probed))),
            (vec![(Refuses, Table), (Accepts, Declared)], Some((Accepts, Declared))),
            (vec![(Accepts, Probed), (Refuses, Probed)], Some((Refuses, Probed))),
            (vec![(Verdict::Unknown, Declared), (Refuses, Unknown)], Some((Refuses, Unknown))),
            (vec![(Verdict::Unknown, Declared)], None),
        ] {
            let links: Vec<_> = said.iter().map(|(verdict, evidence)| link(*verdict, *evidence)).collect();
            let found = strongest(&links, "d", "h").map(|link| (link.verdict, link.evidence));
            assert_eq!(found, counts, "{said:?}");
            assert_eq!(strongest(&links, "d", "other"), None);
        }
    }

    #[test]
    fn a_machine_with_nothing_is_explained_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = explain(&Root::at(directory.path()), &Question::default());
        assert_eq!(told.size, USUAL);
        assert!(told.displays.is_empty() && told.links.is_empty());
        // Shared memory needs no node.
        assert_eq!(told.heaps.len(), 1);
        let missing: Vec<_> = told.unseen.iter().map(|it| it.path.clone()).collect();
        for path in ["dev/dri", "dev/dma_heap", "dev/udmabuf"] {
            assert!(missing.contains(&directory.path().join(path)), "{missing:?}");
        }
        assert!(
            matches!(&told.answers[..], [Where { device: None, answer: Answer::Solved(_), .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn a_format_asked_for_narrows_everybody() {
        let question = Question { format: Some(Fourcc::ARGB8888), ..Question::default() };
        let reader = renderers::look(
            &Root::at(std::path::Path::new("/nowhere")),
            &RendererChoice::Cpu,
            true,
            &[],
            &question.formats(),
        );
        let all = question.completed(reader.participant).participants;
        assert_eq!(all.len(), 2);
        let formats = all.iter().flat_map(|it| it.options.iter().flatten()).map(|option| option.format);
        assert!(formats.into_iter().all(|format| format == Match::Is(Fourcc::ARGB8888)));
    }
}
