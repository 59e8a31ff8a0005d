//! Asking an atomic driver whether it would show a framebuffer, without showing it.
//!
//! `TEST_ONLY` checks a state and forgets it. It needs the DRM master, which a compositor is and an observer is not;
//! an observer's probe says "not tried". Only a CRTC that shows a mode is asked, and only with a buffer that covers the
//! mode, because many drivers refuse a main plane that does not: such a refusal would say nothing of the memory.

use drm::control::atomic::AtomicModeReq;
use drm::control::{AtomicCommitFlags, Device as _, from_u32, plane};
use rustix::io::Errno;

use super::count;
use super::gem::{Framebuffer, errno};
use super::probe::Outcome;
use crate::buffers::Layout;
use crate::constraints::Size;
use crate::devices::{KmsDevice, Plane, PlaneKind, properties};

/// How a framebuffer is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// In the mode that is set, as the next frame.
    AsItIs,
    /// In another mode, that is set together with it: what the display refuses beside what it shows now says nothing.
    InAnotherMode,
}

/// Tests `framebuffer` on a primary plane of an active CRTC.
///
/// # Errors
/// [`Outcome::Refused`] with the kernel's errno, or [`Outcome::NotTried`].
pub(super) fn test_commit(
    device: &KmsDevice,
    framebuffer: &Framebuffer<'_>,
    layout: &Layout,
    test: Test,
) -> Result<(), Outcome> {
    let skip = |why: &str| Err(Outcome::NotTried(why.to_owned()));
    if test == Test::InAnotherMode {
        return skip("it will be shown in another mode");
    }
    if !device.caps().atomic {
        return skip("no atomic commits on this descriptor");
    }
    let pair = (layout.format(), layout.modifier());
    let mut why = "no CRTC shows a mode";
    for crtc in device.crtcs() {
        // What the device showed when it was read may have changed.
        let Some(handle) = from_u32(crtc.id) else { continue };
        let Ok(info) = device.get_crtc(handle) else { continue };
        let Some(mode) = info.mode() else { continue };
        let mode = Size::new(mode.size().0.into(), mode.size().1.into());
        if !mode.fits_in(layout.size()) {
            why = "the buffer is smaller than the mode";
            continue;
        }
        let primary =
            |plane: &&Plane| plane.kind == PlaneKind::Primary && plane.possible_crtcs.contains(&crtc.id);
        let Some(plane) = device.planes().iter().filter(primary).find(|plane| plane.options.contains(&pair))
        else {
            why = "no primary plane lists the format";
            continue;
        };
        let request = match request(device, plane, crtc.id, u32::from(framebuffer.handle), mode) {
            Ok(request) => request,
            Err(errno) => return Err(Outcome::NotTried(format!("cannot read the plane: {errno:?}"))),
        };
        count::test_commit();
        return match device.atomic_commit(AtomicCommitFlags::TEST_ONLY, request).map_err(errno) {
            Ok(()) => Ok(()),
            Err(Errno::ACCESS | Errno::PERM) => skip("not the DRM master"),
            Err(errno) => Err(Outcome::Refused(errno)),
        };
    }
    skip(why)
}

/// The framebuffer's top left corner, unscaled, over the whole mode.
fn request(
    device: &KmsDevice,
    plane: &Plane,
    crtc: u32,
    framebuffer: u32,
    mode: Size,
) -> Result<AtomicModeReq, Errno> {
    let handle: plane::Handle = from_u32(plane.id).ok_or(Errno::NOENT)?;
    let names = properties(device, handle).map_err(errno)?;
    let mut request = AtomicModeReq::new();
    let (width, height) = (u64::from(mode.width), u64::from(mode.height));
    let values = [
        ("FB_ID", u64::from(framebuffer)),
        ("CRTC_ID", u64::from(crtc)),
        // Source rectangles are in 16.16 fixed point.
        ("SRC_X", 0),
        ("SRC_Y", 0),
        ("SRC_W", width << 16),
        ("SRC_H", height << 16),
        ("CRTC_X", 0),
        ("CRTC_Y", 0),
        ("CRTC_W", width),
        ("CRTC_H", height),
    ];
    for (name, value) in values {
        let (property, _) = names.get(name).ok_or(Errno::NOENT)?;
        request.add_raw_property(handle.into(), *property, value);
    }
    Ok(request)
}
