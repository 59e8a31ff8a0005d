//! Checked arithmetic on alignments: an overflow is `None`, never a wrap.

/// Greatest common divisor (Euclid). `gcd(0, n)` is `n`.
#[must_use]
pub const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Least common multiple: the merged alignment of two parties.
///
/// `None` if either is zero (nothing is a multiple of zero) or the result does not fit in 64 bits.
#[must_use]
pub const fn lcm(a: u64, b: u64) -> Option<u64> {
    if a == b && a != 0 {
        return Some(a);
    }
    // Almost every alignment in the field is a power of two; there the larger one is the answer.
    if a.is_power_of_two() && b.is_power_of_two() {
        return Some(if a > b { a } else { b });
    }
    if a == 0 || b == 0 {
        return None;
    }
    (a / gcd(a, b)).checked_mul(b)
}

/// The smallest multiple of `align` that is not below `value`.
///
/// `None` if `align` is zero or the result does not fit in 64 bits.
#[must_use]
pub const fn round_up(value: u64, align: u64) -> Option<u64> {
    if align.is_power_of_two() {
        return match value.checked_add(align - 1) {
            Some(sum) => Some(sum & !(align - 1)),
            None => None,
        };
    }
    match value.checked_rem(align) {
        None => None,
        Some(0) => Some(value),
        Some(rest) => value.checked_add(align - rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lcm_merges_and_refuses_to_wrap() {
        for (a, b, want) in [
            (1, 1, Some(1)),
            (64, 256, Some(256)),
            (64, 3, Some(192)),
            (6, 4, Some(12)),
            (0, 4, None),
            (4, 0, None),
            (0, 0, None),
            (1 << 63, 1 << 63, Some(1 << 63)),
            (u64::MAX, u64::MAX, Some(u64::MAX)),
            (u64::MAX, u64::MAX - 1, None),
            (1 << 63, 3, None),
        ] {
            assert_eq!(lcm(a, b), want, "lcm({a}, {b})");
        }
    }

    #[test]
    fn rounding_up_refuses_to_wrap() {
        for (value, align, want) in [
            (0, 64, Some(0)),
            (1, 64, Some(64)),
            (64, 64, Some(64)),
            (7, 3, Some(9)),
            (9, 3, Some(9)),
            (5, 0, None),
            (u64::MAX, 1, Some(u64::MAX)),
            (u64::MAX, 2, None),
            (u64::MAX - 1, 10, None),
        ] {
            assert_eq!(round_up(value, align), want, "round_up({value}, {align})");
        }
    }
}
