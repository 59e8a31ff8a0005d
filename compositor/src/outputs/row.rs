//! Where outputs stand: in a row, from left to right; and where a window goes when they move. Pure.

use smithay::{
    desktop::{Space, Window},
    utils::{Logical, Point, Rectangle, Size},
};

/// An area of the layout.
pub(super) type Area = Rectangle<i32, Logical>;

/// Where the next output begins.
#[must_use]
pub fn right_end(space: &Space<Window>) -> i32 {
    let areas = space.outputs().filter_map(|output| space.output_geometry(output));
    areas.map(|area| area.loc.x.saturating_add(area.size.w)).max().unwrap_or(0)
}

/// The outputs side by side in the order in which they stood, without gaps.
pub(super) fn row(areas: &[Area]) -> Vec<Area> {
    let mut order: Vec<_> = areas.iter().enumerate().collect();
    order.sort_by_key(|(_, area)| area.loc.x);
    let mut placed = areas.to_vec();
    let mut x = 0_i32;
    for (index, area) in order {
        if let Some(place) = placed.get_mut(index) {
            place.loc = Point::from((x, 0));
        }
        x = x.saturating_add(area.size.w);
    }
    placed
}

/// Which of these a window lies on: most of it.
pub(super) fn home<K>(outputs: &[(K, Area)], window: Area) -> Option<&(K, Area)> {
    let part = |area: Area| {
        let both = area.intersection(window)?;
        Some(i64::from(both.size.w) * i64::from(both.size.h))
    };
    let seen = outputs.iter().filter_map(|output| Some((part(output.1)?, output)));
    // The first of those that show the same part of it.
    seen.rev().max_by_key(|(pixels, _)| *pixels).map(|(_, output)| output)
}

/// The place of a window of this size near `at`, so that as much of it as possible lies in `area`, and its upper left
/// corner does.
fn within(area: Area, at: Point<i32, Logical>, size: Size<i32, Logical>) -> Point<i32, Logical> {
    let axis = |at: i32, length: i32, start: i32, room: i32| {
        let last = start.saturating_add(room.saturating_sub(length).max(0));
        at.clamp(start, last)
    };
    let x = axis(at.x, size.w, area.loc.x, area.size.w);
    let y = axis(at.y, size.h, area.loc.y, area.size.h);
    Point::from((x, y))
}

/// Where a window that floats goes when the outputs that stood as `before` now stand as `after`: with its output, and not
/// off its edge; `None` when that has gone.
pub(super) fn follow<K: PartialEq>(
    window: Area,
    before: &[(K, Area)],
    after: &[(K, Area)],
) -> Option<Point<i32, Logical>> {
    let (output, was) = home(before, window)?;
    let (_, is) = after.iter().find(|(other, _)| other == output)?;
    let at = window.loc - was.loc + is.loc;
    // One that the user has put over the edge stays there.
    let unmoved = was.size == is.size;
    Some(if unmoved { at } else { within(*is, at, window.size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: i32, y: i32, width: i32, height: i32) -> Area {
        Rectangle::new((x, y).into(), (width, height).into())
    }

    #[test]
    fn a_row_closes_up_and_keeps_its_order() {
        let standing = [area(3000, 0, 800, 600), area(0, 0, 1024, 768)];
        assert_eq!(row(&standing), [area(1024, 0, 800, 600), area(0, 0, 1024, 768)]);
        assert_eq!(row(&[area(1024, 0, 640, 480)]), [area(0, 0, 640, 480)]);
        assert_eq!(row(&[]), []);
    }

    #[test]
    fn a_window_is_where_most_of_it_is() {
        let outputs = [('a', area(0, 0, 100, 100)), ('b', area(100, 0, 100, 100))];
        let home = |window| home(&outputs, window).map(|(name, _)| *name);
        assert_eq!(home(area(70, 0, 40, 40)), Some('a'));
        assert_eq!(home(area(90, 0, 40, 40)), Some('b'));
        assert_eq!(home(area(80, 0, 40, 40)), Some('a'), "the first, if it is half and half");
        assert_eq!(home(area(500, 0, 40, 40)), None);
    }

    #[test]
    fn a_window_goes_with_its_output_and_not_off_its_edge() {
        let before = [('a', area(0, 0, 100, 100)), ('b', area(100, 0, 100, 100))];
        let window = area(150, 60, 40, 40);
        let moved = |after: &[(char, Area)]| follow(window, &before, after);
        assert_eq!(moved(&before), Some(window.loc));
        assert_eq!(moved(&[('b', area(0, 0, 100, 100))]), Some((50, 60).into()));
        assert_eq!(moved(&[('b', area(0, 0, 80, 80))]), Some((40, 40).into()), "a smaller mode");
        assert_eq!(moved(&[('b', area(0, 0, 30, 30))]), Some((0, 0).into()), "too small for it");
        assert_eq!(moved(&[('a', area(0, 0, 100, 100))]), None, "its output has gone");
        let over = area(190, 90, 40, 40);
        assert_eq!(follow(over, &before, &before), Some(over.loc), "the user put it there");
    }
}
