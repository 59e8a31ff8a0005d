//! What the kernel or udev says of a device that came, went or changed: one message, read.
//!
//! The kernel's messages are `ACTION@DEVPATH` and then `KEY=VALUE` texts, each ended by a zero byte. udev's have a header
//! first: `libudev`, a zero byte, the magic number `0xfeedcafe`, and where the texts lie (systemd's `sd-device`; the same
//! since 2008).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A device is there now.
    Added(Subject),
    /// A device went away.
    Removed(Subject),
    /// Something about it changed.
    Changed {
        /// Which device.
        subject: Subject,
        /// Whether a screen was plugged in or pulled.
        hotplug: bool,
        /// The connector's id, where the driver says it; without it all may have changed.
        connector: Option<u32>,
    },
    /// Messages came faster than they were read and some are lost: look at everything again.
    Lost,
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What kind of device.
    pub kind: SubjectKind,
    /// Its directory in sysfs, below `/sys`.
    pub directory: PathBuf,
    /// Its node.
    pub node: PathBuf,
}

/// What kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A display or a GPU.
    Drm,
    /// A source of memory.
    Heap,
    /// A camera or codec.
    Video,
}

/// Reads a message; `None` when it is about something else, or torn.
pub(super) fn parse(message: &[u8], dev: &Path) -> Option<Change> {
    let texts = texts(message)?;
    let value = |key: &str| {
        texts.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
    };
    let path = |bytes| Path::new(OsStr::from_bytes(bytes));
    let name = path(value("DEVNAME")?);
    let kind = match value("SUBSYSTEM")? {
        b"drm" => SubjectKind::Drm,
        b"dma_heap" => SubjectKind::Heap,
        b"misc" if name.ends_with("udmabuf") => SubjectKind::Heap,
        b"video4linux" => SubjectKind::Video,
        _ => return None,
    };
    // udev gives the whole path, the kernel what lies below /dev.
    let node = dev.join(name);
    let directory = path(value("DEVPATH")?.strip_prefix(b"/")?).to_owned();
    let subject = Subject { kind, directory, node };
    match value("ACTION")? {
        b"add" => Some(Change::Added(subject)),
        b"remove" => Some(Change::Removed(subject)),
        _ => {
            let id = value("CONNECTOR").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
            Some(Change::Changed { subject, hotplug: value("HOTPLUG") == Some(b"1"), connector: id })
        }
    }
}

/// The `KEY=VALUE` part of a message.
fn texts(message: &[u8]) -> Option<&[u8]> {
    let Some(header) = message.strip_prefix(b"libudev\0") else {
        let end = message.iter().position(|byte| *byte == 0)?;
        return message[..end].contains(&b'@').then(|| &message[end + 1..]);
    };
    let field = |index: usize| header.get(index * 4..index * 4 + 4)?.try_into().ok();
    let number = |index| usize::try_from(u32::from_ne_bytes(field(index)?)).ok();
    if u32::from_be_bytes(field(0)?) != 0xfeed_cafe {
        return None;
    }
    // Fields 1 to 3: the header's size, and offset and length of the texts.
    let (offset, length) = (number(2)?, number(3)?);
    message.get(offset..offset.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: &[u8] =
        b"ACTION=change\0DEVPATH=/devices/x/drm/card0\0SUBSYSTEM=drm\0HOTPLUG=1\0CONNECTOR=77\0\
        DEVNAME=dri/card0\0DEVTYPE=drm_minor\0";

    fn of_kernel(texts: &[u8]) -> Vec<u8> {
        [b"change@/devices/x/drm/card0\0", texts].concat()
    }

    fn of_udev(texts: &[u8]) -> Vec<u8> {
        let mut message = b"libudev\0".to_vec();
        message.extend(0xfeed_cafe_u32.to_be_bytes());
        for field in [40_u32, 40, texts.len() as u32, 0, 0, 0, 0] {
            message.extend(field.to_ne_bytes());
        }
        message.extend(texts);
        message
    }

    fn read(message: &[u8]) -> Option<Change> {
        parse(message, Path::new("/dev"))
    }

    #[test]
    fn the_kernel_and_udev_say_the_same() {
        let subject = Subject {
            kind: SubjectKind::Drm,
            directory: "devices/x/drm/card0".into(),
            node: "/dev/dri/card0".into(),
        };
        let hotplug = Some(Change::Changed { subject: subject.clone(), hotplug: true, connector: Some(77) });
        assert_eq!(read(&of_kernel(TEXTS)), hotplug);
        assert_eq!(read(&of_udev(TEXTS)), hotplug);
        let added = b"ACTION=add\0DEVPATH=/devices/x/drm/card0\0SUBSYSTEM=drm\0DEVNAME=/dev/dri/card0\0";
        assert_eq!(read(&of_udev(added)), Some(Change::Added(subject.clone())));
        let removed = b"ACTION=remove\0DEVPATH=/devices/x/drm/card0\0SUBSYSTEM=drm\0DEVNAME=dri/card0\0";
        assert_eq!(read(&of_kernel(removed)), Some(Change::Removed(subject)));
    }

    #[test]
    fn other_devices_and_torn_messages_say_nothing() {
        for other in ["SUBSYSTEM=input", "SUBSYSTEM=misc"] {
            let texts = format!("ACTION=add\0DEVPATH=/x\0{other}\0DEVNAME=x\0");
            assert_eq!(read(&of_kernel(texts.as_bytes())), None);
        }
        assert_eq!(read(b""), None);
        assert_eq!(read(b"libudev\0"), None);
        let whole = of_udev(TEXTS);
        assert!((0..whole.len()).all(|end| read(&whole[..end]).is_none()));
        let mut far = whole.clone();
        far[16..24].fill(0xff);
        assert_eq!(read(&far), None);
    }
}
