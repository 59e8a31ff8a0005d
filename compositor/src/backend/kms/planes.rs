//! The planes of an output: in which order they lie, and how they read luma and chroma.

use std::{collections::HashMap, io};

use heapwright_alloc::{
    constraints::{Format, Fourcc},
    links::quirks::Stacking,
};
use smithay::{
    backend::drm::{DrmDeviceFd, PlaneInfo, Planes},
    reexports::drm::control::{Device as _, property},
};
use tracing::{info, warn};

/// The property of a plane that names the matrix, and the one that names the range, with what [`crate::video`] chose. The
/// names are the kernel's (drivers/gpu/drm/drm_color_mgmt.c).
const COLOURS: [(&str, &str); 2] =
    [("COLOR_ENCODING", "ITU-R BT.709 YCbCr"), ("COLOR_RANGE", "YCbCr limited range")];

/// Gives the planes that do not say where they lie the places that are known from elsewhere. To Smithay, planes without a
/// place lie nowhere: it never puts pictures that overlap on two of them.
pub(super) fn placed(mut planes: Planes, stacking: Option<Stacking>) -> Planes {
    let Some(Stacking::ById) = stacking else { return planes };
    let Some(primary) = planes.primary.first().map(|plane| u32::from(plane.handle)) else { return planes };
    let overlay = &mut planes.overlay;
    if overlay.iter().chain(&planes.primary).any(|plane| plane.zpos.is_some()) {
        return planes;
    }
    overlay.sort_by_key(|plane| u32::from(plane.handle));
    let below = overlay.iter().filter(|plane| u32::from(plane.handle) < primary).count();
    // Smithay takes the primary plane's as 0.
    for (index, plane) in (0..).zip(overlay.iter_mut()) {
        plane.zpos = Some(if index < below as i32 { index - below as i32 } else { index - below as i32 + 1 });
    }
    planes
}

/// Has every plane that takes luma and chroma convert them as [`crate::video`] does. Whether all do so now.
pub(super) fn set_colours(fd: &DrmDeviceFd, planes: &Planes) -> bool {
    let takes_video = |plane: &&PlaneInfo| {
        let mut formats = plane.formats.iter().map(|format| Fourcc(format.code as u32));
        formats.any(|code| Format::of(code).is_some_and(Format::is_yuv))
    };
    let mut all = true;
    let mut any = false;
    for plane in planes.primary.iter().chain(&planes.overlay).filter(takes_video) {
        match set_colours_of(fd, plane) {
            Ok(()) => any = true,
            Err(error) => {
                warn!(plane = u32::from(plane.handle), %error, "video is composed: a plane shows other colours");
                all = false;
            }
        }
    }
    if all && any {
        info!(matrix = "BT.709", range = "limited", "planes read video");
    }
    all && any
}

fn set_colours_of(fd: &DrmDeviceFd, plane: &PlaneInfo) -> io::Result<()> {
    let properties: HashMap<String, property::Info> = fd.get_properties(plane.handle)?.as_hashmap(fd)?;
    for (name, wanted) in COLOURS {
        let missing = || io::Error::other(format!("it has no {name} that can be {wanted:?}"));
        let info = properties.get(name).ok_or_else(missing)?;
        let property::ValueType::Enum(values) = info.value_type() else { return Err(missing()) };
        let (_, values) = values.values();
        let value = values.iter().find(|value| value.name().to_bytes() == wanted.as_bytes());
        fd.set_property(plane.handle, info.handle(), value.ok_or_else(missing)?.value())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use smithay::{
        backend::allocator::format::FormatSet,
        reexports::drm::control::{PlaneType, from_u32},
    };

    use super::*;

    fn plane(id: u32, type_: PlaneType, zpos: Option<i32>) -> PlaneInfo {
        let handle = from_u32(id).expect("an id");
        PlaneInfo { handle, type_, zpos, formats: FormatSet::default(), size_hints: None }
    }

    fn places(overlays: &[(u32, Option<i32>)], stacking: Option<Stacking>) -> Vec<(u32, Option<i32>)> {
        let overlay = |(id, zpos): &(u32, Option<i32>)| plane(*id, PlaneType::Overlay, *zpos);
        let planes = Planes {
            primary: vec![plane(40, PlaneType::Primary, None)],
            cursor: Vec::new(),
            overlay: overlays.iter().map(overlay).collect(),
        };
        let placed = placed(planes, stacking);
        placed.overlay.iter().map(|plane| (u32::from(plane.handle), plane.zpos)).collect()
    }

    #[test]
    fn planes_without_a_place_lie_in_the_order_of_their_ids_only_where_that_is_known() {
        let unplaced = [(60, None), (50, None), (30, None)];
        assert_eq!(places(&unplaced, None), unplaced);
        assert_eq!(places(&unplaced, Some(Stacking::ById)), [(30, Some(-1)), (50, Some(1)), (60, Some(2))]);
        let said = [(60, Some(1)), (50, Some(2))];
        assert_eq!(places(&said, Some(Stacking::ById)), said, "what the driver says stands");
    }
}
