//! The video nodes of a machine.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags};

use super::ioctl;
use super::{LeftOut, SizeRange, TriedFormat, V4l2Error, V4l2Format, WhyLeftOut, drm_format, planes_apart};
use crate::constraints::{Fourcc, MemoryLimits, Size};
use crate::devices::{Hardware, Iommu};
use crate::heaps::Root;
use crate::solver::problem::{OptionSpec, Participant, Role};

/// `V4L2_FMT_FLAG_COMPRESSED`.
const COMPRESSED: u32 = 1;
/// Bounds what a driver that never ends its lists can make us read.
const MOST: u32 = 256;

/// A camera, a decoder or an encoder.
#[derive(Debug)]
pub struct V4l2Device {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    name: String,
    driver: String,
    card: String,
    hardware: Option<Hardware>,
    role: Option<Role>,
    pub(super) kind: u32,
    formats: Vec<V4l2Format>,
    left_out: Vec<LeftOut>,
    imports: Option<bool>,
    scattered: OnceLock<bool>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct V4l2List {
    /// The nodes that are V4L2 devices, in the order of their names.
    pub devices: Vec<V4l2Device>,
    /// Why others could not be used.
    pub problems: Vec<V4l2Error>,
}

/// Opens every `/dev/video*`. Never fails: see [`V4l2List::problems`]; a machine without any has none.
pub fn v4l2_devices(root: &Root) -> V4l2List {
    let mut found = V4l2List::default();
    let Ok(entries) = std::fs::read_dir(&root.dev) else { return found };
    let numbered = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.and_then(|name| name.strip_prefix("video")?.parse::<u32>().ok())
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| numbered(path).is_some());
    paths.sort_by_key(numbered);
    for path in paths {
        match V4l2Device::open(&path) {
            Ok(device) => found.devices.push(device),
            Err(error) => found.problems.push(error),
        }
    }
    found
}

impl V4l2Device {
    /// Opens a node and reads what it takes; changes nothing of it.
    ///
    /// # Errors
    /// [`V4l2Error`] with advice.
    pub fn open(path: &Path) -> Result<Self, V4l2Error> {
        let failed = |what| move |errno| V4l2Error::of(path, what, errno);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open it"))?;
        let stat = rustix::fs::fstat(&fd).map_err(failed("stat it"))?;
        // VIDEO_MAJOR, asked before any ioctl, since a V4L2 number may mean something else to another driver.
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
            || rustix::fs::major(stat.st_rdev) != 81
        {
            return Err(V4l2Error::NotV4l2(path.to_owned()));
        }
        let data = ioctl::capability(fd.as_fd()).map_err(failed("ask what it is"))?;
        // V4L2_CAP_DEVICE_CAPS: what this node does, not the whole device.
        let caps = if data.capabilities & 0x8000_0000 == 0 { data.capabilities } else { data.device_caps };
        let (capture, output) = if caps & 0x7000 == 0 { (1, 2) } else { (9, 10) };
        let read = |kind| formats(&fd, kind).map_err(failed("read its formats"));
        let (captured, output_of) = (read(capture)?, read(output)?);
        // V4L2_CAP_VIDEO_M2M and its multi-planar twin; V4L2_CAP_VIDEO_CAPTURE and its.
        let (m2m, camera) = (caps & 0xc000 != 0, caps & 0x1001 != 0);
        let role = role(m2m, camera, captured.compresses(), output_of.compresses());
        let (kind, found) =
            if role == Some(Role::Encode) { (output, output_of) } else { (capture, captured) };
        let imports = match role {
            Some(_) => ioctl::imports(fd.as_fd(), kind).map_err(failed("ask whether it imports"))?,
            None => None,
        };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(V4l2Device {
            fd,
            path: path.to_owned(),
            name,
            driver: text(&data.driver),
            card: text(&data.card),
            hardware: Hardware::of_node(&Root::default(), stat.st_rdev),
            role,
            kind,
            formats: found.formats,
            left_out: found.left_out,
            imports,
            scattered: OnceLock::new(),
        })
    }

    /// Its node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its maker calls it: a label.
    pub fn card(&self) -> &str {
        &self.card
    }

    /// What sysfs declares of the device behind the node.
    pub fn hardware(&self) -> Option<&Hardware> {
        self.hardware.as_ref()
    }

    /// Whether the kernel maps its buffers through an IOMMU, so that scattered memory looks contiguous to it.
    pub fn behind_iommu(&self) -> bool {
        self.hardware.as_ref().is_some_and(|hardware| hardware.iommu == Iommu::Translates)
    }

    /// Whether the queue imports dma-bufs at all: the driver says so; `None` when it cannot be asked.
    pub fn imports(&self) -> Option<bool> {
        self.imports
    }

    /// Whether it takes memory in pieces: no interface says so, and nothing is taken for granted; known once
    /// [`probe_scattered_video`](crate::links::probe_scattered_video) has tried.
    pub fn takes_scattered(&self) -> Option<bool> {
        self.scattered.get().copied()
    }

    /// Keeps what was tried; the first finding stays.
    pub(crate) fn learn_scattered(&self, takes: bool) {
        let _ = self.scattered.set(takes);
    }

    /// Formats of the queue that no buffer of ours can be used for.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    pub(super) fn is_multi_planar(&self) -> bool {
        self.kind >= 9
    }

    /// What participants and links call it: its node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The driver's name: a label.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// `capture`, `decode` or `encode`; `None` for one that does none of them, such as a scaler.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// The uncompressed formats of the queue in that role which DRM has, too, with all planes in one buffer.
    pub fn formats(&self) -> &[V4l2Format] {
        &self.formats
    }

    /// What the driver would make of a format at a size; sets nothing.
    ///
    /// # Errors
    /// [`V4l2Error::Vanished`], or [`V4l2Error::Failed`].
    pub fn try_format(&self, format: &V4l2Format, size: Size) -> Result<TriedFormat, V4l2Error> {
        let mut bytes = [0; 200];
        for (at, value) in bytes.chunks_exact_mut(4).zip([size.width, size.height, format.v4l2]) {
            at.copy_from_slice(&value.to_ne_bytes());
        }
        let answer = ioctl::try_format(self.fd.as_fd(), self.kind, bytes);
        let answer = answer.map_err(|errno| V4l2Error::of(Path::new(&self.name), "try a format", errno))?;
        Ok(TriedFormat::of(&answer, self.is_multi_planar()))
    }

    /// What it offers for a picture of a size, and which formats it has only at others. Asks the driver; sets nothing.
    /// Empty when it has no role.
    pub fn offers(&self, size: Size) -> (Vec<OptionSpec>, Vec<LeftOut>) {
        let (mut options, mut left_out) = (Vec::new(), Vec::new());
        let Some(role) = self.role else { return (options, left_out) };
        for format in &self.formats {
            let not_told = LeftOut { v4l2: Fourcc(format.v4l2), why: WhyLeftOut::NotTold };
            let tried = self.try_format(format, size).map_err(|error| {
                tracing::debug!(device = self.name, %error, "a format was not tried");
                not_told
            });
            match tried.and_then(|tried| tried.option(format, role, size)) {
                Ok(option) => options.push(option),
                Err(why) => left_out.push(why),
            }
        }
        (options, left_out)
    }

    /// What it asks of a buffer for a picture of a size: each format that the driver takes at that size, with the pitch,
    /// the rows and the bytes it says. `None` when it has no role.
    ///
    /// A device whose queue imports no dma-bufs permits no heap: what it makes, it makes in memory of its own.
    pub fn participant(&self, name: &str, size: Size) -> Option<Participant> {
        Some(Participant {
            name: name.to_owned(),
            device: Some(self.name.clone()),
            role: self.role?,
            options: Some(self.offers(size).0),
            memory: MemoryLimits {
                contiguous: self.takes_scattered() == Some(false),
                permitted_heaps: (self.imports == Some(false)).then(Vec::new),
                ..MemoryLimits::default()
            },
            ..Participant::default()
        })
    }
}

/// Which side is compressed tells what it is for.
fn role(m2m: bool, camera: bool, capture_compressed: bool, output_compressed: bool) -> Option<Role> {
    match (m2m, capture_compressed, output_compressed) {
        (true, false, true) => Some(Role::Decode),
        (true, true, false) => Some(Role::Encode),
        (false, ..) if camera => Some(Role::Capture),
        _ => None,
    }
}

/// A text of the kernel's, up to its end.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The formats of a queue.
#[derive(Default)]
struct Found {
    formats: Vec<V4l2Format>,
    left_out: Vec<LeftOut>,
}

impl Found {
    fn compresses(&self) -> bool {
        self.left_out.iter().any(|it| it.why == WhyLeftOut::Compressed)
    }
}

fn formats(fd: &OwnedFd, kind: u32) -> rustix::io::Result<Found> {
    let mut found = Found::default();
    for index in 0..MOST {
        let Some(format) = ioctl::format(fd.as_fd(), kind, index)? else { break };
        let v4l2 = format.pixel_format;
        let format = match drm_format(v4l2) {
            _ if format.flags & COMPRESSED != 0 => Err(WhyLeftOut::Compressed),
            Some(_) if planes_apart(v4l2) => Err(WhyLeftOut::PlanesApart),
            Some(format) => Ok(format),
            None => Err(WhyLeftOut::UnknownToDrm),
        };
        let format = match format {
            Ok(format) => format,
            Err(why) => {
                found.left_out.push(LeftOut { v4l2: Fourcc(v4l2), why });
                continue;
            }
        };
        let mut sizes = Vec::new();
        for index in 0..MOST {
            let Some(size) = ioctl::frame_size(fd.as_fd(), v4l2, index)? else { break };
            sizes.extend(SizeRange::of(size.kind, size.numbers));
            // V4L2_FRMSIZE_TYPE_DISCRETE are listed; a range is the only entry.
            if size.kind != 1 {
                break;
            }
        }
        found.formats.push(V4l2Format { format, v4l2, sizes });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compressed_side_tells_a_decoder_from_an_encoder() {
        assert_eq!(role(true, false, false, true), Some(Role::Decode));
        assert_eq!(role(true, false, true, false), Some(Role::Encode));
        assert_eq!(role(true, false, false, false), None);
        // A camera may compress, too.
        assert_eq!(role(false, true, true, false), Some(Role::Capture));
        assert_eq!(role(false, false, false, false), None);
    }

    #[test]
    fn a_file_that_is_no_video_node_is_a_problem_and_other_names_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        std::fs::create_dir_all(&root.dev).unwrap();
        for name in ["video3", "videotape", "v4l-subdev0"] {
            std::fs::write(root.dev.join(name), "").unwrap();
        }
        let found = v4l2_devices(&root);
        assert_eq!(found.problems, [V4l2Error::NotV4l2(root.dev.join("video3"))]);
        let missing = V4l2Device::open(&root.dev.join("video9")).unwrap_err();
        assert_eq!(missing, V4l2Error::Missing(root.dev.join("video9")));
    }
}
