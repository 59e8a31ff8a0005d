//! Which of Vulkan's formats has the bytes of which fourcc.
//!
//! Vulkan names the order in memory, or, in formats called `PACK`, the order in a word; `drm_fourcc.h` names the order in a
//! little-endian word. Formats that Vulkan has no word for are not here.

use ash::vk::Format as Vk;

use crate::constraints::Fourcc;

const fn code(text: &[u8; 4]) -> Fourcc {
    Fourcc::from_bytes(*text)
}

/// In the order of the problem file's usual preference: 8 bits, deeper, shallower, luma and chroma. A format whose alpha is
/// ignored shares the bytes of the one with alpha.
pub(super) const FORMATS: &[(Fourcc, Vk)] = &[
    (Fourcc::ARGB8888, Vk::B8G8R8A8_UNORM),
    (Fourcc::XRGB8888, Vk::B8G8R8A8_UNORM),
    (Fourcc::ABGR8888, Vk::R8G8B8A8_UNORM),
    (Fourcc::XBGR8888, Vk::R8G8B8A8_UNORM),
    (Fourcc::ARGB2101010, Vk::A2R10G10B10_UNORM_PACK32),
    (Fourcc::XRGB2101010, Vk::A2R10G10B10_UNORM_PACK32),
    (Fourcc::ABGR2101010, Vk::A2B10G10R10_UNORM_PACK32),
    (Fourcc::XBGR2101010, Vk::A2B10G10R10_UNORM_PACK32),
    (Fourcc::ABGR16161616F, Vk::R16G16B16A16_SFLOAT),
    (Fourcc::XBGR16161616F, Vk::R16G16B16A16_SFLOAT),
    (code(b"AB48"), Vk::R16G16B16A16_UNORM),
    (code(b"XB48"), Vk::R16G16B16A16_UNORM),
    (Fourcc::RGB888, Vk::B8G8R8_UNORM),
    (Fourcc::BGR888, Vk::R8G8B8_UNORM),
    (Fourcc::RGB565, Vk::R5G6B5_UNORM_PACK16),
    (Fourcc::BGR565, Vk::B5G6R5_UNORM_PACK16),
    (Fourcc::ARGB1555, Vk::A1R5G5B5_UNORM_PACK16),
    (Fourcc::XRGB1555, Vk::A1R5G5B5_UNORM_PACK16),
    (code(b"RA15"), Vk::R5G5B5A1_UNORM_PACK16),
    (code(b"RX15"), Vk::R5G5B5A1_UNORM_PACK16),
    (code(b"BA15"), Vk::B5G5R5A1_UNORM_PACK16),
    (code(b"BX15"), Vk::B5G5R5A1_UNORM_PACK16),
    (code(b"RA12"), Vk::R4G4B4A4_UNORM_PACK16),
    (code(b"RX12"), Vk::R4G4B4A4_UNORM_PACK16),
    (code(b"BA12"), Vk::B4G4R4A4_UNORM_PACK16),
    (code(b"BX12"), Vk::B4G4R4A4_UNORM_PACK16),
    (Fourcc::R8, Vk::R8_UNORM),
    (Fourcc::GR88, Vk::R8G8_UNORM),
    (code(b"R16 "), Vk::R16_UNORM),
    (code(b"GR32"), Vk::R16G16_UNORM),
    (Fourcc::NV12, Vk::G8_B8R8_2PLANE_420_UNORM),
    (Fourcc::NV16, Vk::G8_B8R8_2PLANE_422_UNORM),
    (Fourcc::P010, Vk::G10X6_B10X6R10X6_2PLANE_420_UNORM_3PACK16),
    (code(b"P012"), Vk::G12X4_B12X4R12X4_2PLANE_420_UNORM_3PACK16),
    (Fourcc::P016, Vk::G16_B16R16_2PLANE_420_UNORM),
    (Fourcc::YUV420, Vk::G8_B8_R8_3PLANE_420_UNORM),
    (Fourcc::YUV422, Vk::G8_B8_R8_3PLANE_422_UNORM),
    (Fourcc::YUV444, Vk::G8_B8_R8_3PLANE_444_UNORM),
    (Fourcc::YUYV, Vk::G8B8G8R8_422_UNORM),
    (Fourcc::UYVY, Vk::B8G8R8G8_422_UNORM),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::Format;

    #[test]
    fn every_format_is_known_here_once_and_those_with_ignored_alpha_have_the_same_bytes() {
        for (index, (fourcc, vk)) in FORMATS.iter().enumerate() {
            assert!(FORMATS[index + 1..].iter().all(|(other, _)| other != fourcc), "{fourcc} twice");
            let format = Format::of(*fourcc).unwrap_or_else(|| panic!("{fourcc} has no layout"));
            let Some(twin) = format.opaque_twin() else { continue };
            let found = FORMATS.iter().find(|(other, _)| *other == twin);
            assert!(found.is_some_and(|(_, same)| same == vk), "{fourcc} and {twin}");
        }
    }

    /// From the names: the bytes of Vulkan's format, plane by plane, are those of the table of layouts.
    #[test]
    fn bytes_and_planes_are_those_of_the_layout() {
        for (fourcc, planes) in [
            (Fourcc::XRGB8888, &[4][..]),
            (Fourcc::RGB888, &[3]),
            (Fourcc::ABGR16161616F, &[8]),
            (Fourcc::GR88, &[2]),
            (Fourcc::NV12, &[1, 2]),
            (Fourcc::P010, &[2, 4]),
            (Fourcc::YUV420, &[1, 1, 1]),
            (Fourcc::YUYV, &[4]),
        ] {
            let format = Format::of(fourcc).unwrap();
            let bytes: Vec<_> = format.planes().iter().map(|plane| plane.block_bytes).collect();
            assert_eq!(bytes, planes, "{fourcc}");
        }
    }
}
