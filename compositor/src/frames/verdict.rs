//! How an output shows a surface and, where it copies, why: in our own words, from what the display and the frame say.

use smithay::backend::renderer::element::RenderingReason;

use crate::shared_memory::Refusal;

/// In what a surface's picture lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Shared memory.
    SharedMemory,
    /// One colour without memory.
    Colour,
    /// A dma-buf.
    DmaBuf,
}

/// What is known of a surface that was composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// In what it lies.
    pub kind: Kind,
    /// Of shared memory: why it is not lent to the display.
    pub not_lent: Option<Refusal>,
    /// Its buffers are not what the display reads, for want of such memory when they were asked for.
    pub short: bool,
    /// The output is memory: there is no display.
    pub screen_is_memory: bool,
    /// What stopped Smithay's assignment of planes, if it says so.
    pub refused: Option<RenderingReason>,
    /// Its picture is shown larger or smaller than it is.
    pub scaled: bool,
    /// Something that is composed lies above it.
    pub beneath: bool,
    /// Overlay planes of the output.
    pub overlays: usize,
    /// Those that show something else.
    pub taken: usize,
}

/// Why a surface is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no display.
    ScreenIsMemory,
    /// Shared memory that the display does not read.
    SharedMemory(Refusal),
    /// There was no memory for buffers that the display reads.
    Short,
    /// Nothing to read.
    Colour,
    /// Format or modifier.
    Format,
    /// A test of the frame, or the import, failed.
    Refused {
        /// And it was to be scaled.
        scaled: bool,
    },
    /// Below something composed.
    Beneath,
    /// Planes there are, but all are in use.
    Taken(usize),
    /// It is the pointer's picture: a cursor plane wants it in a size of its own.
    CursorPlane,
    /// The output has one plane, and the surface is not all that it shows.
    NotAlone,
}

impl Facts {
    /// The reason that an engineer would name first.
    #[must_use]
    pub fn reason(&self) -> Reason {
        if self.screen_is_memory {
            return Reason::ScreenIsMemory;
        }
        if let Some(refusal) = self.not_lent {
            return Reason::SharedMemory(refusal);
        }
        match (self.kind, self.refused) {
            (Kind::Colour, _) => Reason::Colour,
            _ if self.short => Reason::Short,
            (_, Some(RenderingReason::FormatUnsupported)) => Reason::Format,
            (_, Some(RenderingReason::ScanoutFailed)) => Reason::Refused { scaled: self.scaled },
            (_, None) if self.beneath => Reason::Beneath,
            (_, None) if self.overlays > 0 && self.taken >= self.overlays => Reason::Taken(self.overlays),
            (_, None) => Reason::NotAlone,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::ScreenIsMemory => f.write_str("the screen is memory: all is composed into it"),
            Reason::SharedMemory(refusal) => refusal.fmt(f),
            Reason::Short => f.write_str(
                "memory that the display reads was short when its buffers were asked for; the client is told when there is some",
            ),
            Reason::Colour => f.write_str("it is one colour, without memory to read"),
            Reason::Format => f.write_str("no plane takes its format and modifier"),
            Reason::Refused { scaled: false } => f.write_str("the display refused it in a test of the frame"),
            Reason::Refused { scaled: true } => {
                f.write_str("the display refused to scale it in a test of the frame")
            }
            Reason::Beneath => f.write_str("something that is composed lies above it"),
            Reason::Taken(1) => f.write_str("the overlay plane shows something else"),
            Reason::Taken(planes) => write!(f, "all {planes} overlay planes show something else"),
            Reason::CursorPlane => f.write_str("copied once for the cursor plane, which wants its own size"),
            Reason::NotAlone => {
                f.write_str("it is not all that the output shows, and no other plane is free for it")
            }
        }
    }
}

/// How an output shows a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A plane reads the client's own buffer.
    ZeroCopy,
    /// It is drawn into the output's own buffer.
    Composed(Reason),
    /// Nothing of it is to be seen.
    Hidden,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_the_one_that_would_hold_even_if_the_others_were_gone() {
        let open = Facts {
            kind: Kind::DmaBuf,
            not_lent: None,
            short: false,
            screen_is_memory: false,
            refused: None,
            scaled: false,
            beneath: false,
            overlays: 0,
            taken: 0,
        };
        let not_lent = Some(Refusal::Pages);
        let format = Some(RenderingReason::FormatUnsupported);
        let failed = Some(RenderingReason::ScanoutFailed);
        for (facts, reason) in [
            (open, Reason::NotAlone),
            (Facts { screen_is_memory: true, not_lent, ..open }, Reason::ScreenIsMemory),
            (Facts { not_lent, refused: failed, ..open }, Reason::SharedMemory(Refusal::Pages)),
            (Facts { short: true, refused: failed, beneath: true, ..open }, Reason::Short),
            (Facts { kind: Kind::SharedMemory, beneath: true, ..open }, Reason::Beneath),
            (Facts { kind: Kind::Colour, beneath: true, ..open }, Reason::Colour),
            (Facts { refused: format, beneath: true, ..open }, Reason::Format),
            (Facts { refused: failed, scaled: true, ..open }, Reason::Refused { scaled: true }),
            (Facts { scaled: true, ..open }, Reason::NotAlone),
            (Facts { beneath: true, overlays: 2, taken: 2, ..open }, Reason::Beneath),
            (Facts { overlays: 2, taken: 2, ..open }, Reason::Taken(2)),
            (Facts { overlays: 2, taken: 1, ..open }, Reason::NotAlone),
        ] {
            assert_eq!(facts.reason(), reason, "{facts:?}");
        }
    }
}
