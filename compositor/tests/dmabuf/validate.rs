//! The validation core as a table, for what the wire cannot show: numbers and reasons, and files without a size.

use heapwright::dmabuf::validate::{
    BufferRequest, Layout, MAX_SIDE_PIXELS, Offer, PlaneRequest, Refusal, validate,
};
use heapwright_alloc::constraints::{Fourcc, Modifier};

use super::fixture::{LINEAR, NV12, TILED, XR24, pairs};

const PLANE: PlaneRequest = PlaneRequest {
    offset_bytes: 0,
    pitch_bytes: 256,
    modifier: Modifier(LINEAR),
    file_bytes: Some(16_384),
    is_dmabuf: true,
};

fn check(format: u32, size: (i32, i32), planes: &[PlaneRequest]) -> Result<Layout, Refusal> {
    let mut offer = Offer::default();
    offer.extend(pairs(&[(XR24, LINEAR), (XR24, TILED), (NV12, LINEAR)]));
    let mut slots = [None; 4];
    for (slot, plane) in slots.iter_mut().zip(planes) {
        *slot = Some(*plane);
    }
    let request =
        BufferRequest { version: 5, width: size.0, height: size.1, format, flags: 0, planes: slots };
    validate(&request, &offer)
}

#[test]
fn a_right_buffer_has_the_layout_that_was_asked_for() {
    let layout =
        Layout { format: Fourcc(XR24), modifier: Modifier(LINEAR), width: 64, height: 64, planes: 1 };
    assert_eq!(check(XR24, (64, 64), &[PLANE]), Ok(layout));
}

#[test]
fn a_refusal_names_plane_and_numbers() {
    let chroma = PlaneRequest { offset_bytes: 16_384, pitch_bytes: 256, ..PLANE };
    // 65 rows of luma have 33 of chroma, and odd widths round up as well.
    let table = [
        (XR24, (64, 65), vec![PLANE], Refusal::OutOfBounds { plane: 0, end: 16_640, file_bytes: 16_384 }),
        (XR24, (65, 1), vec![PLANE], Refusal::PitchTooSmall { plane: 0, pitch_bytes: 256, row_bytes: 260 }),
        (
            NV12,
            (64, 64),
            vec![PLANE, chroma],
            Refusal::OutOfBounds { plane: 1, end: 16_384 + 32 * 256, file_bytes: 16_384 },
        ),
        (
            NV12,
            (255, 64),
            vec![PLANE, PlaneRequest { pitch_bytes: 254, ..chroma }],
            Refusal::PitchTooSmall { plane: 1, pitch_bytes: 254, row_bytes: 256 },
        ),
        (
            NV12,
            (64, 63),
            vec![PLANE, PlaneRequest { file_bytes: Some(16_384 + 32 * 256 - 1), ..chroma }],
            Refusal::OutOfBounds { plane: 1, end: 16_384 + 32 * 256, file_bytes: 16_384 + 32 * 256 - 1 },
        ),
        (NV12, (64, 64), vec![PLANE], Refusal::MissingPlane { index: 1, needed: 2 }),
        (XR24, (64, 64), vec![PLANE, PLANE], Refusal::TooManyPlanes { given: 2, needed: 1 }),
        (XR24, (64, 64), vec![PlaneRequest { is_dmabuf: false, ..PLANE }], Refusal::NotDmabuf(0)),
    ];
    for (format, size, planes, refusal) in table {
        assert_eq!(check(format, size, &planes), Err(refusal.clone()), "{refusal}");
    }
}

#[test]
fn a_file_without_a_size_is_held_to_what_the_kernel_can_address() {
    let endless = PlaneRequest { file_bytes: None, ..PLANE };
    assert!(check(XR24, (64, 64), &[endless]).is_ok());
    let long = PlaneRequest { pitch_bytes: 1 << 20, ..endless };
    assert!(check(XR24, (64, 4095), &[long]).is_ok());
    let too_long = Err(Refusal::TooLarge { width: 64, height: 4096 });
    assert_eq!(check(XR24, (64, 4096), &[long]), too_long);
    let far = PlaneRequest { offset_bytes: u32::MAX, modifier: Modifier(TILED), ..endless };
    assert_eq!(check(XR24, (64, 4096), &[far]), too_long);
}

#[test]
fn no_side_is_longer_than_anything_can_show() {
    let side = i32::try_from(MAX_SIDE_PIXELS).unwrap();
    let row = PlaneRequest { pitch_bytes: MAX_SIDE_PIXELS * 4, file_bytes: None, ..PLANE };
    assert!(check(XR24, (side, 1), &[row]).is_ok());
    let size = (side + 1, 1);
    assert_eq!(check(XR24, size, &[row]), Err(Refusal::TooLarge { width: size.0, height: size.1 }));
}

/// Every combination of extreme numbers has an answer, and no accepted one reaches past its file.
#[test]
fn extreme_numbers_are_answered_not_wrapped() {
    let numbers = [0, 1, 3, 4, 255, 256, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX];
    for format in [XR24, NV12] {
        for width in numbers {
            for height in numbers {
                for pitch_bytes in numbers {
                    for offset_bytes in numbers {
                        for modifier in [LINEAR, TILED] {
                            let plane = PlaneRequest {
                                offset_bytes,
                                pitch_bytes,
                                modifier: Modifier(modifier),
                                ..PLANE
                            };
                            let size = (width as i32, height as i32);
                            let planes = if format == NV12 { vec![plane, plane] } else { vec![plane] };
                            if check(format, size, &planes).is_ok() {
                                let end =
                                    u128::from(offset_bytes) + u128::from(pitch_bytes) * u128::from(height);
                                assert!(end <= 16_384, "{size:?} {plane:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
