//! Devices that render, and what they import: asked of every API that is there, and kept apart by API, because a pair is
//! importable if the API in use says so.

use std::path::PathBuf;

use super::DeviceError;
use super::egl::{self, EglError};
use super::nodes::{DrmNodes, drm_nodes};
use super::render_list::{ImportList, ImportPair, RenderApi};
use super::render_node::RenderNode;
#[cfg(feature = "vulkan")]
use super::vulkan::{self, VulkanError};
use super::whose::Whose;
use crate::constraints::{CpuAccess, Frequency, MemoryLimits};
use crate::heaps::Root;
use crate::solver::problem::{Participant, Role};

/// What participants and links call renderers that are made of software.
const SOFTWARE: &str = "software";

/// A device that renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderDevice {
    /// Its nodes, and what is declared of it; `None`: software, which touches memory with the CPU.
    pub nodes: Option<DrmNodes>,
    /// What each API says that it imports, EGL before Vulkan before GBM. More than one of an API where there are several
    /// drivers, none where no API knows the device or none was asked.
    pub lists: Vec<ImportList>,
    /// Its node is hardware's, but what draws is the CPU: EGL's driver imports exactly what it imports without any hardware.
    /// So it is with a virtual GPU that has no 3D.
    pub emulated: bool,
}

impl RenderDevice {
    /// What participants and links call it: as [`DrmNodes::name`], so that the display of the same device has the same
    /// name; `software` for all that is made of software.
    pub fn name(&self) -> String {
        self.nodes.as_ref().map_or_else(|| SOFTWARE.to_owned(), DrmNodes::name)
    }

    /// Whether the CPU draws: there is no device, or nothing in it that draws.
    pub fn is_software(&self) -> bool {
        self.nodes.is_none() || self.emulated
    }

    /// What `api` says that it imports; without an API, the first of those that draw (EGL, Vulkan) and say something.
    ///
    /// GBM only allocates, and has a driver of software for every device, so it makes none a renderer.
    pub fn imports(&self, api: Option<RenderApi>) -> Option<(&ImportList, &[ImportPair])> {
        let asked = |list: &&ImportList| match api {
            Some(api) => list.api == api,
            None => list.api != RenderApi::Gbm,
        };
        self.lists.iter().filter(asked).find_map(|list| Some((list, list.pairs.as_deref().ok()?)))
    }

    /// Opens its render node; `None` when it has none, as software.
    ///
    /// # Errors
    /// [`RenderProblem::Permission`] or [`RenderProblem::Node`].
    pub fn open(&self) -> Result<Option<RenderNode>, RenderProblem> {
        let render = self.nodes.as_ref().and_then(|nodes| nodes.render.as_ref());
        render.map(|path| RenderNode::open(path, self.name())).transpose()
    }

    /// It reads the buffer as a texture; `None` when it does not say what it imports.
    pub fn sample_participant(&self, name: &str) -> Option<Participant> {
        self.participant(Role::Sample, None, name)
    }

    /// It draws into the buffer; `None` when it does not say what it imports.
    pub fn render_participant(&self, name: &str) -> Option<Participant> {
        self.participant(Role::Render, None, name)
    }

    /// As [`RenderDevice::sample_participant`] or, in the role of [`Role::Render`], as
    /// [`RenderDevice::render_participant`], for a renderer that uses `api`.
    pub fn participant(&self, role: Role, api: Option<RenderApi>, name: &str) -> Option<Participant> {
        let draws = role == Role::Render;
        let wanted = |pair: &&ImportPair| !draws || !pair.sample_only;
        let (_, pairs) = self.imports(api)?;
        // What is made of software reaches memory with the CPU.
        let often = |yes: bool| if yes { Frequency::Often } else { Frequency::None };
        let access = CpuAccess { read: often(self.is_software()), write: often(self.is_software() && draws) };
        Some(Participant {
            name: name.to_owned(),
            device: Some(self.name()),
            role,
            options: Some(pairs.iter().filter(wanted).map(ImportPair::option).collect()),
            memory: MemoryLimits { cpu_access: access, ..MemoryLimits::default() },
            ..Participant::default()
        })
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct RenderDevices {
    /// The devices: hardware in the order of their directories in sysfs, then software.
    pub devices: Vec<RenderDevice>,
    /// What could not be asked, and why.
    pub problems: Vec<RenderProblem>,
}

/// Something that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderProblem {
    /// EGL is not there, or cannot be asked.
    #[error(transparent)]
    Egl(#[from] EglError),
    /// Vulkan is not there, or cannot be asked.
    #[cfg(feature = "vulkan")]
    #[error(transparent)]
    Vulkan(#[from] VulkanError),
    /// This user may not open the node, so that no driver can.
    #[error(
        "{}: permission denied: run in a session of a seat, or add the user to the group that owns the node (often \
         `render`)",
        .0.display()
    )]
    Permission(PathBuf),
    /// The node cannot be opened.
    #[error(transparent)]
    Node(DeviceError),
    /// No driver says what it imports.
    #[error(
        "{}: no driver says what it imports: install one for this GPU (Debian: libgl1-mesa-dri, mesa-vulkan-drivers)",
        .0.display()
    )]
    NoDriver(PathBuf),
    /// Without its name no link would be known to concern it.
    #[error("{api} knows a device ({driver}) that sysfs does not: in a container, mount the host's /sys")]
    NotInSysfs {
        /// Who says so.
        api: RenderApi,
        /// What it calls the device.
        driver: String,
    },
}

impl RenderProblem {
    /// Where it was looked: a node, or the name of a library.
    pub fn place(&self) -> PathBuf {
        match self {
            RenderProblem::Egl(_) => "libEGL.so.1".into(),
            #[cfg(feature = "vulkan")]
            RenderProblem::Vulkan(_) => "libvulkan.so.1".into(),
            RenderProblem::Permission(path) | RenderProblem::NoDriver(path) => path.clone(),
            RenderProblem::Node(error) => error.path().to_owned(),
            RenderProblem::NotInSysfs { .. } => "/sys/class/drm".into(),
        }
    }
}

/// Lists the devices that have a render node, from sysfs, and asks nobody what they import: nothing is loaded or opened.
pub fn render_nodes(root: &Root) -> Vec<RenderDevice> {
    let nodes = drm_nodes(root).into_iter().filter(|nodes| nodes.render.is_some());
    nodes.map(|nodes| RenderDevice { nodes: Some(nodes), lists: Vec::new(), emulated: false }).collect()
}

/// Asks EGL, Vulkan (feature `vulkan`) and GBM (feature `gbm`) about every device that renders. Never fails: see
/// [`RenderDevices::problems`].
///
/// This loads their drivers, which takes tens of milliseconds and megabytes, and they stay loaded: not for the way from a
/// compositor's start to its first frame.
pub fn render_devices(root: &Root) -> RenderDevices {
    let mut problems = Vec::new();
    let told = egl::devices().unwrap_or_else(|error| {
        problems.push(error.into());
        Vec::new()
    });
    #[cfg(feature = "vulkan")]
    let told = told
        .into_iter()
        .chain(vulkan::devices().unwrap_or_else(|error| {
            problems.push(error.into());
            Vec::new()
        }))
        .collect();
    let known = drm_nodes(root);
    let mut devices = joined(root, &known, told, &mut problems);
    for device in &mut devices {
        let Some(render) = device.nodes.as_ref().and_then(|nodes| nodes.render.clone()) else { continue };
        // Drivers say nothing of a node that they may not open, not even that.
        if let Err(problem) = device.open() {
            problems.push(problem);
            continue;
        }
        #[cfg(feature = "gbm")]
        super::gbm::ask(&render, &mut device.lists);
        if device.imports(None).is_none() {
            problems.push(RenderProblem::NoDriver(render));
        }
    }
    RenderDevices { devices, problems }
}

/// What every API told, by device.
fn joined(
    root: &Root,
    known: &[DrmNodes],
    told: Vec<(Whose, ImportList)>,
    problems: &mut Vec<RenderProblem>,
) -> Vec<RenderDevice> {
    let mut lists: Vec<Vec<ImportList>> = vec![Vec::new(); known.len()];
    let mut software = Vec::new();
    for (whose, list) in told {
        let place = match whose {
            Whose::Software => Some(&mut software),
            whose => known.iter().position(|nodes| whose.is(nodes, root)).and_then(|at| lists.get_mut(at)),
        };
        match place {
            Some(place) => place.push(list),
            None => problems.push(RenderProblem::NotInSysfs { api: list.api, driver: list.driver }),
        }
    }
    let hardware = known.iter().zip(lists);
    let renders = hardware.filter(|(nodes, lists)| nodes.render.is_some() || !lists.is_empty());
    let device = |(nodes, lists): (&DrmNodes, Vec<ImportList>)| {
        let emulated = is_emulated(&lists, &software);
        RenderDevice { nodes: Some(nodes.clone()), lists, emulated }
    };
    let mut devices: Vec<_> = renders.map(device).collect();
    if !software.is_empty() {
        devices.push(RenderDevice { nodes: None, lists: software, emulated: false });
    }
    for device in &mut devices {
        device.lists.sort_by_key(|list| list.api);
    }
    devices
}

/// Whether all that a device's drivers say is what software says as well. EGL has no word for it, and drivers have many
/// names; hardware that draws has formats or tiles of its own.
fn is_emulated(lists: &[ImportList], software: &[ImportList]) -> bool {
    let says = |list: &&ImportList| list.pairs.as_ref().is_ok_and(|pairs| !pairs.is_empty());
    let same = |list: &ImportList| software.iter().any(|it| it.api == list.api && it.pairs == list.pairs);
    let mut all = lists.iter().filter(says).peekable();
    all.peek().is_some() && all.all(same)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::super::render_list::Silence;
    use super::*;
    use crate::constraints::{Fourcc, Modifier, Size};

    fn pair(format: Fourcc, sample_only: bool) -> ImportPair {
        ImportPair::new(format, Modifier::LINEAR, sample_only)
    }

    fn list(api: RenderApi, pairs: Result<Vec<ImportPair>, Silence>) -> ImportList {
        ImportList { api, driver: format!("{api} driver"), pairs }
    }

    fn software(lists: Vec<ImportList>) -> RenderDevice {
        RenderDevice { nodes: None, lists, emulated: false }
    }

    /// Two GPUs of which one has no display, and a display that renders nothing.
    fn machine() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for path in ["class/drm", "dev/char"] {
            fs::create_dir_all(root.sys.join(path)).unwrap();
        }
        for (device, node, minor) in [
            ("a-gpu", "card1", 1),
            ("a-gpu", "renderD128", 128),
            ("b-compute", "renderD129", 129),
            ("c-panel", "card0", 0),
        ] {
            let path = root.sys.join("devices").join(device).join("drm").join(node);
            fs::create_dir_all(&path).unwrap();
            symlink("../..", path.join("device")).unwrap();
            symlink(&path, root.sys.join("class/drm").join(node)).unwrap();
            symlink(&path, root.sys.join("dev/char").join(format!("226:{minor}"))).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn what_can_only_be_read_is_no_target() {
        let pairs = Ok(vec![pair(Fourcc::XRGB8888, false), pair(Fourcc::NV12, true)]);
        let device = software(vec![list(RenderApi::Egl, pairs)]);
        let formats = |participant: Option<Participant>| participant.unwrap().options.unwrap().len();
        assert_eq!(formats(device.sample_participant("texture")), 2);
        assert_eq!(formats(device.render_participant("target")), 1);
        let silent = software(vec![list(RenderApi::Egl, Err(Silence::NotStarted))]);
        assert_eq!(silent.sample_participant("texture"), None);
    }

    #[test]
    fn the_api_in_use_says_what_is_imported_and_without_one_the_first_that_says_anything() {
        let only = |format| Ok(vec![pair(format, false)]);
        let device = software(vec![
            list(RenderApi::Egl, Err(Silence::NotStarted)),
            list(RenderApi::Vulkan, only(Fourcc::XRGB8888)),
            list(RenderApi::Gbm, only(Fourcc::NV12)),
        ]);
        let format = |api| {
            let participant = device.participant(Role::Sample, api, "texture")?;
            participant.options?.first()?.format.exact()
        };
        assert_eq!(format(None), Some(Fourcc::XRGB8888));
        let allocates = software(device.lists[2..].to_vec());
        assert_eq!(allocates.sample_participant("texture"), None);
        assert_eq!(format(Some(RenderApi::Gbm)), Some(Fourcc::NV12));
        assert_eq!(format(Some(RenderApi::Egl)), None);
    }

    #[test]
    fn limits_that_were_told_hold_for_the_solver_and_software_uses_the_cpu() {
        let limited = ImportPair {
            max_size: Some(Size::new(16, 8)),
            max_bytes: Some(512),
            ..pair(Fourcc::XRGB8888, false)
        };
        let device = software(vec![list(RenderApi::Vulkan, Ok(vec![limited]))]);
        let participant = device.render_participant("target").unwrap();
        let limits = participant.options.unwrap()[0].limits;
        assert_eq!((limits.max_size, limits.max_size_bytes), (Some(Size::new(16, 8)), Some(512)));
        let often = CpuAccess { read: Frequency::Often, write: Frequency::Often };
        assert_eq!((participant.memory.cpu_access, participant.device.as_deref()), (often, Some("software")));
        let reads = device.sample_participant("texture").unwrap().memory.cpu_access;
        assert_eq!((reads.read, reads.write), (Frequency::Often, Frequency::None));
    }

    #[test]
    fn what_several_apis_say_of_one_gpu_stands_together_whichever_node_they_name() {
        let (_directory, root) = machine();
        let known = drm_nodes(&root);
        let node = |name: &str| Whose::Nodes(vec![root.dev.join("dri").join(name)]);
        let told = vec![
            (Whose::Software, list(RenderApi::Egl, Ok(Vec::new()))),
            (Whose::Numbers(vec![(226, 128)]), list(RenderApi::Vulkan, Ok(vec![pair(Fourcc::NV12, true)]))),
            (node("card1"), list(RenderApi::Egl, Ok(vec![pair(Fourcc::XRGB8888, false)]))),
            (node("card7"), list(RenderApi::Egl, Ok(Vec::new()))),
            (Whose::Numbers(vec![]), list(RenderApi::Vulkan, Ok(Vec::new()))),
            (Whose::Software, list(RenderApi::Vulkan, Err(Silence::Failed))),
        ];
        let mut problems = Vec::new();
        let devices = joined(&root, &known, told, &mut problems);
        let seen: Vec<_> = devices
            .iter()
            .map(|it| (it.name(), it.lists.iter().map(|list| list.api).collect::<Vec<_>>()))
            .collect();
        let both = || vec![RenderApi::Egl, RenderApi::Vulkan];
        let expected = [("card1".into(), both()), ("renderD129".into(), vec![]), ("software".into(), both())];
        assert_eq!(seen, expected);
        // The display, which has no render node, is no renderer until somebody says so.
        let told = vec![(node("card0"), list(RenderApi::Egl, Ok(Vec::new())))];
        let devices = joined(&root, &known, told, &mut Vec::new());
        assert_eq!(devices.last().map(RenderDevice::name).as_deref(), Some("card0"));
        let unknown = |api: RenderApi| RenderProblem::NotInSysfs { api, driver: format!("{api} driver") };
        assert_eq!(problems, [unknown(RenderApi::Egl), unknown(RenderApi::Vulkan)]);
    }

    #[test]
    fn a_node_whose_driver_imports_what_software_does_is_drawn_for_by_the_cpu() {
        let (_directory, root) = machine();
        let known = drm_nodes(&root);
        let own = vec![pair(Fourcc::XRGB8888, false), pair(Fourcc::NV12, true)];
        let tiled = ImportPair { modifier: Modifier(0x0100_0000_0000_0001), ..own[0] };
        for (says, software, emulated) in [
            (Ok(own.clone()), Ok(own.clone()), true),
            (Ok(vec![own[0], tiled]), Ok(own.clone()), false),
            (Ok(own[..1].to_vec()), Ok(own.clone()), false),
            (Ok(own.clone()), Err(Silence::NotStarted), false),
            (Err(Silence::NotStarted), Err(Silence::NotStarted), false),
            (Ok(Vec::new()), Ok(Vec::new()), false),
        ] {
            let told = vec![
                (Whose::Numbers(vec![(226, 128)]), list(RenderApi::Egl, says)),
                (Whose::Software, list(RenderApi::Egl, software)),
            ];
            let devices = joined(&root, &known, told.clone(), &mut Vec::new());
            assert_eq!((devices[0].emulated, devices[0].is_software()), (emulated, emulated), "{told:?}");
            let access = devices[0].sample_participant("texture").map(|it| it.memory.cpu_access.read);
            assert_eq!(access == Some(Frequency::Often), emulated);
        }
        // One API that draws by itself is enough.
        let told = vec![
            (Whose::Numbers(vec![(226, 128)]), list(RenderApi::Egl, Ok(own.clone()))),
            (Whose::Numbers(vec![(226, 128)]), list(RenderApi::Vulkan, Ok(vec![tiled]))),
            (Whose::Software, list(RenderApi::Egl, Ok(own))),
        ];
        assert!(!joined(&root, &known, told, &mut Vec::new())[0].emulated);
    }

    #[test]
    fn only_looking_finds_gpus_by_their_render_nodes() {
        let (_directory, root) = machine();
        let names: Vec<_> = render_nodes(&root).iter().map(RenderDevice::name).collect();
        assert_eq!(names, ["card1", "renderD129"]);
    }

    #[test]
    fn a_node_that_is_not_there_is_a_problem_with_a_place() {
        let problem = RenderNode::open(Path::new("/nowhere/renderD128"), String::new()).unwrap_err();
        assert_eq!(problem.place(), Path::new("/nowhere/renderD128"));
        assert!(problem.to_string().contains("not there"), "{problem}");
    }
}
