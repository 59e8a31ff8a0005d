//! The `IN_FORMATS` blob of a plane: which formats with which modifiers (`struct drm_format_modifier_blob`).

use crate::constraints::{Fourcc, Modifier};

/// Bytes of `struct drm_format_modifier`.
const MODIFIER_BYTES: usize = 24;

/// Why a blob cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InFormatsError {
    /// The blob ends before what its header promises.
    #[error("IN_FORMATS blob of {0} bytes ends before its tables do")]
    Truncated(usize),
    /// Made by a kernel newer than this program.
    #[error("IN_FORMATS blob version {0}, known is 1: update heapwright")]
    Version(u32),
}

/// Every pair in the blob, in the kernel's order of formats, then of modifiers.
///
/// # Errors
/// [`InFormatsError`]; nothing is read beyond the blob, whatever it says.
pub fn parse_in_formats(blob: &[u8]) -> Result<Vec<(Fourcc, Modifier)>, InFormatsError> {
    let short = InFormatsError::Truncated(blob.len());
    let u32_at = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(blob.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    let u64_at = |at: usize| -> Option<u64> {
        Some(u64::from_ne_bytes(blob.get(at..at.checked_add(8)?)?.try_into().ok()?))
    };
    let header = |index: usize| u32_at(index * 4).ok_or(short);
    let usize_of = |value: u32| usize::try_from(value).map_err(|_| short);
    let version = header(0)?;
    if version != 1 {
        return Err(InFormatsError::Version(version));
    }
    let formats = table(blob, usize_of(header(3)?)?, usize_of(header(2)?)?, 4).ok_or(short)?;
    let modifiers = table(blob, usize_of(header(5)?)?, usize_of(header(4)?)?, MODIFIER_BYTES).ok_or(short)?;

    let mut pairs = Vec::new();
    for (index, at) in formats.enumerate() {
        let fourcc = Fourcc(u32_at(at).ok_or(short)?);
        for at in modifiers.clone() {
            // A 64-bit mask of formats, counted from `offset`.
            let mask = u64_at(at).ok_or(short)?;
            let first = usize_of(u32_at(at + 8).ok_or(short)?)?;
            let modifier = Modifier(u64_at(at + 16).ok_or(short)?);
            let listed =
                index.checked_sub(first).filter(|bit| *bit < 64).is_some_and(|bit| (mask >> bit) & 1 == 1);
            if listed && !pairs.contains(&(fourcc, modifier)) {
                pairs.push((fourcc, modifier));
            }
        }
    }
    Ok(pairs)
}

/// The offsets of a table's entries, when all of it lies in the blob.
fn table(
    blob: &[u8],
    offset: usize,
    count: usize,
    entry: usize,
) -> Option<std::iter::StepBy<std::ops::Range<usize>>> {
    let end = count.checked_mul(entry)?.checked_add(offset)?;
    (end <= blob.len()).then(|| (offset..end).step_by(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(formats: &[Fourcc], modifiers: &[(u64, u32, Modifier)]) -> Vec<u8> {
        let header = [1, 0, formats.len(), 24, modifiers.len(), 24 + 4 * formats.len()];
        let mut bytes: Vec<u8> = header.iter().flat_map(|field| (*field as u32).to_ne_bytes()).collect();
        bytes.extend(formats.iter().flat_map(|format| format.0.to_ne_bytes()));
        for (mask, offset, modifier) in modifiers {
            bytes.extend(mask.to_ne_bytes());
            bytes.extend(offset.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend(modifier.0.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn a_pair_is_listed_where_its_bit_is_set() {
        let formats = [Fourcc::XRGB8888, Fourcc::NV12];
        let blob = blob(&formats, &[(0b11, 0, Modifier::LINEAR), (0b1, 1, Modifier(0x0800_0000_0000_0041))]);
        assert_eq!(
            parse_in_formats(&blob).unwrap(),
            [
                (Fourcc::XRGB8888, Modifier::LINEAR),
                (Fourcc::NV12, Modifier::LINEAR),
                (Fourcc::NV12, Modifier(0x0800_0000_0000_0041)),
            ]
        );
    }

    #[test]
    fn formats_beyond_the_sixty_fourth_are_reached_by_the_offset() {
        let formats: Vec<Fourcc> = (1..=70).map(Fourcc).collect();
        let blob = blob(&formats, &[(u64::MAX, 0, Modifier::LINEAR), (1 << 5, 64, Modifier::LINEAR)]);
        let pairs = parse_in_formats(&blob).unwrap();
        assert_eq!(pairs.len(), 65);
        assert_eq!(pairs[64], (Fourcc(70), Modifier::LINEAR));
    }

    #[test]
    fn a_blob_that_lies_about_its_tables_is_refused() {
        let good = blob(&[Fourcc::XRGB8888], &[(1, 0, Modifier::LINEAR)]);
        for length in 0..good.len() {
            assert!(parse_in_formats(&good[..length]).is_err(), "{length}");
        }
        for field in 2..6 {
            let mut bad = good.clone();
            bad[field * 4..field * 4 + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
            assert!(parse_in_formats(&bad).is_err(), "{field}");
        }
        let mut newer = good;
        newer[0] = 2;
        newer[3] = 0;
        assert!(matches!(parse_in_formats(&newer), Err(InFormatsError::Version(_))));
    }
}
