//! The pointer's plain arrow.

/// Rows of the arrow: `#` black, `.` white, space nothing. The hot spot is the top left corner.
pub const ARROW: [&str; 17] = [
    "#           ",
    "##          ",
    "#.#         ",
    "#..#        ",
    "#...#       ",
    "#....#      ",
    "#.....#     ",
    "#......#    ",
    "#.......#   ",
    "#........#  ",
    "#.....##### ",
    "#..#..#     ",
    "#.# #..#    ",
    "##  #..#    ",
    "     #..#   ",
    "     #..#   ",
    "      ##    ",
];

/// ARGB8888 of a cell; nothing where what lies below is seen.
#[must_use]
pub fn colour(cell: u8) -> Option<u32> {
    match cell {
        b'#' => Some(0xff00_0000),
        b'.' => Some(0xffff_ffff),
        _ => None,
    }
}
