//! The renderers of a machine, and which of them takes part in the answer.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::gather::format_lines;
use super::model::{FormatLine, Unseen};
use crate::constraints::{CpuAccess, Fourcc, Frequency};
use crate::devices::{
    ImportPair, Iommu, RenderApi, RenderDevice, RenderDevices, RenderNode, render_devices, render_nodes,
    renderer_participant,
};
use crate::heaps::Root;
use crate::solver::problem::{Participant, Role};

/// What the renderer is called among the participants.
pub(super) const RENDERER: &str = "renderer";
/// The renderer that is no device: a compositor that reads with the CPU, as with pixman.
const CPU: &str = "cpu";

/// Which renderer reads the buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RendererChoice {
    /// A GPU, if one says what it imports, that of a display before others; else the CPU.
    #[default]
    Usual,
    /// The CPU, as in a compositor that draws with pixman.
    Cpu,
    /// None; no driver is loaded then.
    None,
    /// This one.
    Named {
        /// Its name, or that of one of its nodes; `software` for what is made of software.
        name: String,
        /// The API it uses; without one, the first that draws and says something.
        api: Option<RenderApi>,
    },
}

/// A text that names no renderer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' names no API: write a renderer's name, with :egl, :vulkan or :gbm behind it to say which it uses"
)]
pub struct ParseRendererError(String);

impl FromStr for RendererChoice {
    type Err = ParseRendererError;

    /// `cpu`, `none`, or a name, as in `card0`, `/dev/dri/renderD128`, `software:vulkan`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, api) = match text.split_once(':') {
            None => (text, None),
            Some((name, "egl")) => (name, Some(RenderApi::Egl)),
            Some((name, "vulkan")) => (name, Some(RenderApi::Vulkan)),
            Some((name, "gbm")) => (name, Some(RenderApi::Gbm)),
            Some(_) => return Err(ParseRendererError(text.to_owned())),
        };
        Ok(match name {
            CPU if api.is_none() => RendererChoice::Cpu,
            "none" if api.is_none() => RendererChoice::None,
            // People have the node at hand as often as the name.
            name => RendererChoice::Named { name: name.rsplit('/').next().unwrap_or(name).to_owned(), api },
        })
    }
}

/// A device that renders.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Renderer {
    /// What links and answers call it; the display of the same device is called the same.
    pub name: String,
    /// Whether it is made of software, which is no device.
    pub software: bool,
    /// Whether it is a device whose drivers draw with the CPU.
    pub emulated: bool,
    /// The kernel's driver: a label.
    pub driver: Option<String>,
    /// The node that sets modes, if it has one.
    pub primary: Option<PathBuf>,
    /// The node that renders, if it has one.
    pub render: Option<PathBuf>,
    /// What stands between it and memory.
    pub iommu: Option<Iommu>,
    /// Whether anybody was asked about it.
    pub asked: bool,
    /// What each API says of it; empty when none knows it.
    pub apis: Vec<RendererApi>,
}

/// What one API says of a renderer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RendererApi {
    /// Which API.
    pub api: RenderApi,
    /// What it calls the driver or the device: a label.
    pub driver: String,
    /// Why it does not say what it imports.
    pub silent: Option<String>,
    /// How many pairs of a format and a modifier it imports.
    pub pairs: usize,
    /// How many of them it can draw to.
    pub drawn: usize,
    /// What it reads.
    pub reads: Vec<FormatLine>,
    /// What it draws to.
    pub draws: Vec<FormatLine>,
}

/// The renderer that takes part in the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Chosen {
    /// Its name; `cpu` for a renderer that reads with the CPU; none when no renderer takes part.
    pub name: Option<String>,
    /// The API whose list counts.
    pub api: Option<RenderApi>,
    /// Why this one.
    pub why: String,
}

/// What [`look`] found.
#[derive(Debug, Default)]
pub(super) struct Renderers {
    pub(super) list: Vec<Renderer>,
    pub(super) chosen: Chosen,
    pub(super) participant: Option<Participant>,
    /// Those that can be tried, and what they ask of a buffer that they read.
    pub(super) nodes: Vec<(Arc<RenderNode>, Participant)>,
    pub(super) unseen: Vec<Unseen>,
}

/// Lists the renderers, asks them what they import, and chooses one. Nothing is opened or asked when only to look.
/// `displays` are names, `formats` those in question.
pub(super) fn look(
    root: &Root,
    choice: &RendererChoice,
    look_only: bool,
    displays: &[&str],
    formats: &[Fourcc],
) -> Renderers {
    let ask = !look_only && *choice != RendererChoice::None;
    let found = if ask {
        render_devices(root)
    } else {
        RenderDevices { devices: render_nodes(root), problems: Vec::new() }
    };
    let mut unseen: Vec<_> =
        found.problems.iter().map(|it| Unseen { path: it.place(), why: it.to_string() }).collect();
    let (chosen, participant) = choose(&found.devices, choice, ask, displays, formats);
    if let (RendererChoice::Named { .. }, None) = (choice, &chosen.name) {
        unseen.push(Unseen { path: root.dev.join("dri"), why: chosen.why.clone() });
    }
    let mut nodes = Vec::new();
    for device in found.devices.iter().filter(|_| !look_only) {
        match device.open() {
            Ok(node) => nodes.extend(node.map(|node| (Arc::new(node), touching(device, formats)))),
            // Who was asked has said so already.
            Err(_) if ask => {}
            Err(problem) => unseen.push(Unseen { path: problem.place(), why: problem.to_string() }),
        }
    }
    Renderers {
        list: found.devices.iter().map(|it| renderer(it, ask)).collect(),
        chosen,
        participant,
        nodes,
        unseen,
    }
}

fn choose(
    devices: &[RenderDevice],
    choice: &RendererChoice,
    asked: bool,
    displays: &[&str],
    formats: &[Fourcc],
) -> (Chosen, Option<Participant>) {
    let (device, api, why) = match choice {
        RendererChoice::None => {
            return (Chosen { why: "no renderer was wanted".to_owned(), ..Chosen::default() }, None);
        }
        RendererChoice::Cpu => return cpu(formats, "it was named"),
        RendererChoice::Usual if !asked => return cpu(formats, "no renderer was asked what it imports"),
        RendererChoice::Usual => match usual(devices, displays) {
            Some((device, why)) => (device, None, why),
            None => return cpu(formats, "no GPU here draws by itself and says what it imports"),
        },
        RendererChoice::Named { name, api } => match named(devices, name) {
            Some(device) => (device, *api, "it was named".to_owned()),
            None => return (Chosen { why: nobody(devices, name), ..Chosen::default() }, None),
        },
    };
    let imports = device.imports(api).map(|(list, _)| list.api);
    let participant = device.participant(Role::Sample, api, RENDERER);
    match imports.zip(participant) {
        Some((used, participant)) => {
            (Chosen { name: Some(device.name()), api: Some(used), why }, Some(narrowed(participant, formats)))
        }
        None => {
            let by = api.map_or_else(String::new, |api| format!(" by {api}"));
            let why = if asked {
                format!("renderer {} does not say{by} what it imports", device.name())
            } else {
                format!("renderer {} was not asked what it imports", device.name())
            };
            (Chosen { why, ..Chosen::default() }, None)
        }
    }
}

fn cpu(formats: &[Fourcc], why: &str) -> (Chosen, Option<Participant>) {
    let reads = CpuAccess { read: Frequency::Often, write: Frequency::None };
    let participant = renderer_participant(RENDERER, formats, reads);
    (Chosen { name: Some(CPU.to_owned()), api: None, why: why.to_owned() }, Some(participant))
}

/// The GPU that a compositor would use here.
fn usual<'a>(devices: &'a [RenderDevice], displays: &[&str]) -> Option<(&'a RenderDevice, String)> {
    let says = |it: &&RenderDevice| !it.is_software() && it.imports(None).is_some();
    let gpus: Vec<_> = devices.iter().filter(says).collect();
    let shows = |it: &&&RenderDevice| displays.contains(&it.name().as_str());
    match (gpus.as_slice(), gpus.iter().find(shows)) {
        ([], _) => None,
        ([only], _) => Some((only, "it is the only GPU that says what it imports".to_owned())),
        (_, Some(own)) => Some((own, "it is the GPU of a display".to_owned())),
        ([first, ..], None) => {
            Some((first, format!("it is the first of {} GPUs, none of which has a display", gpus.len())))
        }
    }
}

fn named<'a>(devices: &'a [RenderDevice], name: &str) -> Option<&'a RenderDevice> {
    let is_node = |device: &RenderDevice| {
        let nodes = device.nodes.iter().flat_map(|it| it.primary.iter().chain(&it.render));
        nodes.into_iter().any(|path| path.file_name().is_some_and(|own| own == name))
    };
    devices.iter().find(|device| device.name() == name || is_node(device))
}

fn nobody(devices: &[RenderDevice], name: &str) -> String {
    let mut there: Vec<String> = devices.iter().map(RenderDevice::name).collect();
    there.extend([CPU.to_owned(), "none".to_owned()]);
    format!("no renderer is called {name}: name one of {}", there.join(", "))
}

/// A device that reads the buffer, whatever it is, if it does not say what it imports.
fn touching(device: &RenderDevice, formats: &[Fourcc]) -> Participant {
    let any = || Participant {
        name: RENDERER.to_owned(),
        device: Some(device.name()),
        role: Role::Sample,
        ..Participant::default()
    };
    device.sample_participant(RENDERER).map_or_else(any, |it| narrowed(it, formats))
}

/// Of many formats only those in question, so that the answer is about these.
fn narrowed(mut participant: Participant, formats: &[Fourcc]) -> Participant {
    let asked = |format: Option<Fourcc>| format.is_none_or(|format| formats.contains(&format));
    for options in participant.option_lists() {
        options.retain(|option| asked(option.format.exact()));
    }
    participant
}

fn renderer(device: &RenderDevice, asked: bool) -> Renderer {
    let nodes = device.nodes.as_ref();
    Renderer {
        name: device.name(),
        software: nodes.is_none(),
        emulated: device.emulated,
        driver: nodes.and_then(|it| it.hardware.driver.clone()),
        primary: nodes.and_then(|it| it.primary.clone()),
        render: nodes.and_then(|it| it.render.clone()),
        iommu: nodes.map(|it| it.hardware.iommu),
        asked,
        apis: device
            .lists
            .iter()
            .map(|list| {
                let pairs = list.pairs.as_deref().unwrap_or_default();
                let drawn: Vec<&ImportPair> = pairs.iter().filter(|pair| !pair.sample_only).collect();
                RendererApi {
                    api: list.api,
                    driver: list.driver.clone(),
                    silent: list.pairs.as_ref().err().map(ToString::to_string),
                    pairs: pairs.len(),
                    drawn: drawn.len(),
                    reads: format_lines(pairs.iter().map(|pair| (pair.format, pair.modifier))),
                    draws: format_lines(drawn.iter().map(|pair| (pair.format, pair.modifier))),
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::constraints::Modifier;
    use crate::devices::{DrmNodes, Hardware, ImportList, Silence};

    fn gpu(card: &str, render: &str, pairs: Result<&[Fourcc], Silence>) -> RenderDevice {
        let hardware = Hardware {
            directory: Path::new("/sys/devices").join(card),
            driver: Some("somegpu".to_owned()),
            bus: None,
            modalias: None,
            iommu: Iommu::Absent,
            devicetree: None,
        };
        let node = |name: &str| Some(Path::new("/dev/dri").join(name));
        RenderDevice {
            nodes: Some(DrmNodes { hardware, primary: node(card), render: node(render) }),
            lists: vec![list(RenderApi::Egl, pairs)],
            emulated: false,
        }
    }

    fn list(api: RenderApi, pairs: Result<&[Fourcc], Silence>) -> ImportList {
        let pair = |format: &Fourcc| ImportPair::new(*format, Modifier::LINEAR, *format == Fourcc::NV12);
        ImportList { api, driver: "driver".to_owned(), pairs: pairs.map(|it| it.iter().map(pair).collect()) }
    }

    const RGB: &[Fourcc] = &[Fourcc::XRGB8888, Fourcc::ARGB8888];

    fn software() -> RenderDevice {
        let lists = vec![list(RenderApi::Egl, Ok(RGB)), list(RenderApi::Vulkan, Ok(&[Fourcc::NV12]))];
        RenderDevice { nodes: None, lists, emulated: false }
    }

    fn chosen(devices: &[RenderDevice], choice: &str, displays: &[&str]) -> Chosen {
        choose(devices, &choice.parse().unwrap(), true, displays, RGB).0
    }

    #[test]
    fn without_a_word_a_gpu_that_says_something_renders_and_without_one_the_cpu() {
        let usual =
            |devices: &[RenderDevice]| choose(devices, &RendererChoice::Usual, true, &["card1"], RGB).0.name;
        let (first, own) = (gpu("card0", "renderD128", Ok(RGB)), gpu("card1", "renderD129", Ok(RGB)));
        let mute = gpu("card1", "renderD129", Err(Silence::NotStarted));
        assert_eq!(usual(&[first.clone(), own, software()]).as_deref(), Some("card1"));
        assert_eq!(usual(&[first, mute.clone(), software()]).as_deref(), Some("card0"));
        assert_eq!(usual(&[mute.clone(), software()]).as_deref(), Some("cpu"));
        assert_eq!(usual(&[]).as_deref(), Some("cpu"));
        let emulated = RenderDevice { emulated: true, ..gpu("card1", "renderD129", Ok(RGB)) };
        assert_eq!(usual(&[emulated]).as_deref(), Some("cpu"));
        let unasked = choose(&[mute], &RendererChoice::Usual, false, &[], RGB).0;
        assert_eq!((unasked.name.as_deref(), unasked.why.contains("was asked")), (Some("cpu"), true));
    }

    #[test]
    fn a_renderer_goes_by_its_name_or_either_node_and_by_the_api_that_is_named() {
        let devices = [gpu("card1", "renderD128", Ok(RGB)), software()];
        for (choice, name, api) in [
            ("card1", Some("card1"), Some(RenderApi::Egl)),
            ("/dev/dri/renderD128", Some("card1"), Some(RenderApi::Egl)),
            ("software", Some("software"), Some(RenderApi::Egl)),
            ("software:vulkan", Some("software"), Some(RenderApi::Vulkan)),
            ("software:gbm", None, None),
            ("card7", None, None),
            ("cpu", Some("cpu"), None),
            ("none", None, None),
        ] {
            let found = chosen(&devices, choice, &[]);
            assert_eq!((found.name.as_deref(), found.api), (name, api), "{choice}: {found:?}");
        }
        assert!(chosen(&devices, "card7", &[]).why.ends_with("card1, software, cpu, none"));
        assert!("card1:opengl".parse::<RendererChoice>().is_err());
    }

    #[test]
    fn only_formats_in_question_are_offered() {
        let devices = [software()];
        let offered = |choice: &str, formats: &[Fourcc]| {
            let participant = choose(&devices, &choice.parse().unwrap(), true, &[], formats).1.unwrap();
            assert_eq!((participant.role, participant.name.as_str()), (Role::Sample, RENDERER));
            participant.options.unwrap().len()
        };
        assert_eq!(offered("software:egl", RGB), 2);
        assert_eq!(offered("software:egl", &RGB[..1]), 1);
        assert_eq!(offered("software:vulkan", RGB), 0);
        assert_eq!(offered("software:vulkan", &[Fourcc::NV12]), 1);
    }

    #[test]
    fn what_is_told_counts_what_is_drawn_to() {
        let told = renderer(&gpu("card1", "renderD128", Ok(&[Fourcc::XRGB8888, Fourcc::NV12])), true);
        let api = &told.apis[0];
        assert_eq!((api.pairs, api.drawn, api.reads.len(), api.draws.len()), (2, 1, 2, 1));
        assert_eq!((told.name.as_str(), told.software, api.silent.as_deref()), ("card1", false, None));
        let mute = renderer(&gpu("card1", "renderD128", Err(Silence::NotStarted)), true);
        assert_eq!(mute.apis[0].silent.as_deref(), Some("its driver did not start"));
    }
}
