//! Which plane shows which surface: Smithay says what is on planes, the kernel says where each plane is.

use smithay::utils::{Physical, Rectangle};

/// A lit plane, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lit {
    /// The kernel's id.
    pub plane: u32,
    /// Its place on the output.
    pub place: Rectangle<i32, Physical>,
}

/// The plane of each surface, given the places of the surfaces, front to back, and the lit planes in the same order.
///
/// Two pictures at one place are told apart by their order.
#[must_use]
pub fn assign(places: &[Rectangle<i32, Physical>], lit: &[Lit]) -> Vec<Option<u32>> {
    let mut free: Vec<_> = lit.iter().collect();
    let take = |place: &Rectangle<i32, Physical>| {
        let index = free.iter().position(|lit| lit.place == *place)?;
        Some(free.remove(index).plane)
    };
    places.iter().map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_tell_planes_and_order_decides_between_equals() {
        let place = |x, y| Rectangle::new((x, y).into(), (64, 32).into());
        let lit = |plane, place| Lit { plane, place };
        let planes = [lit(40, place(0, 0)), lit(41, place(0, 0)), lit(42, place(9, 9))];
        assert_eq!(assign(&[place(9, 9), place(0, 0), place(0, 0)], &planes), [Some(42), Some(40), Some(41)]);
        assert_eq!(assign(&[place(1, 0)], &planes), [None]);
        assert_eq!(assign(&[place(9, 9), place(9, 9)], &planes), [Some(42), None]);
    }
}
