//! What GBM allocates for a device, and so imports (feature `gbm`).
//!
//! GBM lists nothing: it is asked about every format and modifier that is known by name, and about those that other APIs
//! told of the same device.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gbm::{BufferObjectFlags, Device};
use rustix::fs::{Mode, OFlags};

use super::render_list::{ImportList, ImportPair, RenderApi, Silence};
use crate::constraints::{Format, Modifier};

/// A node that can be asked.
struct Node(OwnedFd);

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Adds what GBM says of a render node to what others said of the device.
pub(super) fn ask(render: &Path, lists: &mut Vec<ImportList>) {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(fd) = rustix::fs::open(render, flags, Mode::empty()) else { return };
    let mut modifiers: Vec<Modifier> = Modifier::named().collect();
    let told = lists.iter().flat_map(|list| list.pairs.iter().flatten()).map(|pair| pair.modifier);
    modifiers.extend(told);
    modifiers.sort_unstable();
    modifiers.dedup();
    modifiers.retain(|modifier| *modifier != Modifier::INVALID);
    lists.push(list(fd, &modifiers));
}

fn list(node: OwnedFd, modifiers: &[Modifier]) -> ImportList {
    let api = RenderApi::Gbm;
    match Device::new(Node(node)) {
        Ok(device) => {
            let pairs = Ok(pairs(&device, modifiers));
            ImportList { api, driver: device.backend_name().to_owned(), pairs }
        }
        Err(error) => {
            tracing::debug!(%error, "GBM does not start");
            ImportList { api, driver: String::new(), pairs: Err(Silence::NotStarted) }
        }
    }
}

fn pairs(device: &Device<Node>, modifiers: &[Modifier]) -> Vec<ImportPair> {
    let mut pairs = Vec::new();
    for format in Format::all() {
        // GBM has no word for the others.
        let Ok(known) = gbm::Format::try_from(format.fourcc.0) else { continue };
        let supports = |usage| device.is_format_supported(known, usage);
        let drawn = supports(BufferObjectFlags::RENDERING);
        if !drawn && !supports(BufferObjectFlags::empty()) {
            continue;
        }
        pairs.extend(modifiers.iter().filter_map(|modifier| {
            let planes = device.format_modifier_plane_count(known, modifier.0.into())?;
            let pair = ImportPair::new(format.fourcc, *modifier, !drawn);
            (planes > 0).then_some(ImportPair { planes: Some(planes), ..pair })
        }));
    }
    pairs
}
