//! Can a plane scale? There is no property that says; only a commit that is tested and not made (`TEST_ONLY`) tells.
//!
//! A refusal has many reasons besides scaling (a main plane must cover the screen, a pointer must be square), so the same
//! rectangle is first tried unscaled: only where that passes does a refusal mean scaling. Needs the DRM master and a CRTC
//! that shows a mode; without them the answer is unknown. What is tried here is a factor of two each way: that it passes
//! does not promise other factors, nor every format.

use drm::buffer::DrmFourcc;
use drm::control::atomic::AtomicModeReq;
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{AtomicCommitFlags, Device as _, framebuffer, from_u32, plane};
use rustix::io::Errno;
use serde::Serialize;

use super::read::Named;
use super::{KmsDevice, Plane, PlaneKind, errno, properties};
use crate::constraints::{Fourcc, Modifier, Size};

/// Linux's internal "not supported", which some drivers let out.
const ENOTSUPP: i32 = 524;

/// What was found of a plane; `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Scaling {
    /// Whether it shows a picture at twice its size.
    pub enlarges: Option<bool>,
    /// Whether it shows a picture at half its size.
    pub shrinks: Option<bool>,
}

/// Tries it. Nothing is shown, and nothing stays.
pub fn probe_scaling(device: &KmsDevice, plane: &Plane) -> Scaling {
    let found = Trial::new(device, plane).map(|trial| scaling(|source, target| trial.commit(source, target)));
    let found = found.unwrap_or_default();
    tracing::debug!(device = device.name(), plane = plane.id, ?found, "scaling");
    found
}

/// The sides of a rectangle: whole, or half of the size tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Half,
}

fn scaling(mut commit: impl FnMut(Extent, Extent) -> Result<(), Errno>) -> Scaling {
    let mut ask = |source, target| match (commit(target, target), commit(source, target)) {
        (Ok(()), Ok(())) => Some(true),
        (Ok(()), Err(errno)) if refuses(errno) => Some(false),
        _ => None,
    };
    Scaling { enlarges: ask(Extent::Half, Extent::Whole), shrinks: ask(Extent::Whole, Extent::Half) }
}

/// Whether an errno judges the state that was tested, and not us or the moment.
fn refuses(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::RANGE | Errno::OPNOTSUPP | Errno::NOSPC)
        || errno.raw_os_error() == ENOTSUPP
}

/// A framebuffer of the device's own, and the plane it is tried on.
struct Trial<'a> {
    device: &'a KmsDevice,
    plane: plane::Handle,
    names: Named,
    crtc: u32,
    size: Size,
    framebuffer: framebuffer::Handle,
    dumb: Option<DumbBuffer>,
}

impl<'a> Trial<'a> {
    /// `None` where a trial would mean nothing.
    fn new(device: &'a KmsDevice, plane: &Plane) -> Option<Self> {
        let lists = |format| plane.options.contains(&(format, Modifier::LINEAR));
        let depth = if lists(Fourcc::XRGB8888) {
            24
        } else if lists(Fourcc::ARGB8888) {
            32
        } else {
            return None;
        };
        let mode_of = |crtc: &u32| {
            let mode = device.get_crtc(from_u32(*crtc)?).ok()?.mode()?;
            Some((*crtc, Size::new(mode.size().0.into(), mode.size().1.into())))
        };
        let (crtc, mode) = plane.possible_crtcs.iter().find_map(mode_of).filter(|_| device.caps().atomic)?;
        let size = match plane.kind {
            PlaneKind::Cursor => *plane.size_hints.first().unwrap_or(&device.limits().cursor),
            PlaneKind::Primary | PlaneKind::Overlay => mode,
        };
        let handle: plane::Handle = from_u32(plane.id)?;
        let names = properties(device, handle).ok()?;
        let dumb = device.create_dumb_buffer((size.width, size.height), DrmFourcc::Xrgb8888, 32).ok()?;
        match device.add_framebuffer(&dumb, depth, 32) {
            Ok(framebuffer) => {
                Some(Trial { device, plane: handle, names, crtc, size, framebuffer, dumb: Some(dumb) })
            }
            Err(_) => {
                let _ = device.destroy_dumb_buffer(dumb);
                None
            }
        }
    }

    fn commit(&self, source: Extent, target: Extent) -> Result<(), Errno> {
        let sides = |extent| match extent {
            Extent::Whole => (u64::from(self.size.width), u64::from(self.size.height)),
            Extent::Half => (u64::from(self.size.width / 2), u64::from(self.size.height / 2)),
        };
        let (source, target) = (sides(source), sides(target));
        let values = [
            ("FB_ID", u64::from(u32::from(self.framebuffer))),
            ("CRTC_ID", u64::from(self.crtc)),
            // Source rectangles are in 16.16 fixed point.
            ("SRC_X", 0),
            ("SRC_Y", 0),
            ("SRC_W", source.0 << 16),
            ("SRC_H", source.1 << 16),
            ("CRTC_X", 0),
            ("CRTC_Y", 0),
            ("CRTC_W", target.0),
            ("CRTC_H", target.1),
        ];
        let mut request = AtomicModeReq::new();
        for (name, value) in values {
            let (property, _) = self.names.get(name).ok_or(Errno::NOENT)?;
            request.add_raw_property(self.plane.into(), *property, value);
        }
        let tested = self.device.atomic_commit(AtomicCommitFlags::TEST_ONLY, request);
        tested.map_err(|error| errno(&error))
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let removed = self.device.destroy_framebuffer(self.framebuffer);
        let freed = self.dumb.take().map_or(Ok(()), |dumb| self.device.destroy_dumb_buffer(dumb));
        for error in [removed, freed].into_iter().filter_map(Result::err) {
            tracing::warn!(device = self.device.name(), %error, "could not clean up after a trial");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_means_scaling_only_where_the_same_rectangle_passes_unscaled() {
        use Extent::{Half, Whole};
        let no = |errno| Scaling { enlarges: Some(false), shrinks: errno };
        // A main plane that must cover the screen, on a device that cannot scale.
        let covers = |source, target| match (source, target) {
            (Whole, Whole) => Ok(()),
            (Half, Whole) => Err(Errno::RANGE),
            _ => Err(Errno::INVAL),
        };
        assert_eq!(scaling(covers), no(None));
        let unscaled = |source, target| if source == target { Ok(()) } else { Err(Errno::INVAL) };
        assert_eq!(scaling(unscaled), no(Some(false)));
        assert_eq!(scaling(|_, _| Ok(())), Scaling { enlarges: Some(true), shrinks: Some(true) });
    }

    #[test]
    fn who_may_not_ask_or_asks_at_a_bad_moment_learns_nothing() {
        for errno in [Errno::ACCESS, Errno::BUSY, Errno::NOMEM, Errno::NODEV] {
            assert_eq!(scaling(|_, _| Err(errno)), Scaling::default());
            let moment = |source: Extent, target: Extent| if source == target { Ok(()) } else { Err(errno) };
            assert_eq!(scaling(moment), Scaling::default());
        }
    }
}
