//! A picture that somebody keeps in a memfd, lent to devices without a copy.

use std::os::fd::AsFd;

use super::{Allocator, Buffer, BufferError, Layout, Want};
use crate::constraints::{Fourcc, Modifier, Size};
use crate::heaps::HeapId;
use crate::solver::problem::{Match, OptionSpec, Participant, Role};
use crate::solver::{Answer, PlaneLayout};

/// A linear picture in a memfd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped {
    /// Pixels.
    pub size: Size,
    /// A format of one plane.
    pub format: Fourcc,
    /// Its first byte in the memfd.
    pub offset: u64,
    /// Bytes from one row to the next.
    pub pitch: u64,
}

impl Allocator {
    /// Whether a picture in memory that wraps a memfd can be used by all these `participants`: the answer's heap is for
    /// [`Allocator::wrap`]. What is not known of a device is tried with memory of our own; pitch and place of the memfd's
    /// picture are for the device itself to judge.
    pub fn resolve_wrapped(&self, size: Size, format: Fourcc, mut participants: Vec<Participant>) -> Answer {
        let wrapping = self.heaps().heaps.iter().filter(|heap| heap.wraps());
        let option = OptionSpec {
            format: format.into(),
            modifier: Match::Is(Modifier::LINEAR),
            ..OptionSpec::default()
        };
        let mut owner = Participant {
            name: "owner of the memfd".to_owned(),
            role: Role::Cpu,
            options: Some(vec![option]),
            ..Participant::default()
        };
        owner.memory.permitted_heaps = Some(wrapping.map(|heap| heap.id().as_str().to_owned()).collect());
        participants.push(owner);
        let want = Want { size, participants, count: 1, name: "", dma_buf_only: true, ..Want::default() };
        self.resolve(&want).1
    }

    /// Lends a memfd's picture to devices: a dma-buf of the pages that it lies in. It must be sealed with `F_SEAL_SHRINK`
    /// and not against writing, and end with a whole page. Its owner goes on writing into it.
    ///
    /// # Errors
    /// [`BufferError`]: the memfd is not of that kind, or the kernel has refused. A heap that does not wrap, or is not
    /// there, gives [`BufferError::NotADmaBuf`].
    pub fn wrap(&self, heap: &str, memfd: impl AsFd, picture: &Wrapped) -> Result<Buffer, BufferError> {
        let heap = self.heaps().get(heap).filter(|heap| heap.wraps()).ok_or(BufferError::NotADmaBuf)?;
        let page = rustix::param::page_size() as u64;
        let (start, layout) = picture.within_pages(page, heap.id())?;
        let made = heap.wrap(memfd.as_fd(), start, layout.bytes()).ok_or(BufferError::NotADmaBuf)?;
        Ok(Buffer::wrapped(made?, layout, heap.id().clone()))
    }
}

impl Wrapped {
    /// The page it begins in, and how it lies in the pages from there on.
    fn within_pages(&self, page: u64, heap: &HeapId) -> Result<(u64, Layout), BufferError> {
        let too_large = || {
            let what = format!("{} with {} bytes a row at {}: too large", self.size, self.pitch, self.offset);
            BufferError::Alloc(crate::heaps::AllocError::BadRequest { heap: heap.clone(), what })
        };
        let into = self.offset % page;
        let size = self.pitch.checked_mul(u64::from(self.size.height)).ok_or_else(too_large)?;
        let bytes = into.checked_add(size).and_then(|bytes| bytes.checked_next_multiple_of(page));
        let bytes = bytes.ok_or_else(too_large)?;
        let plane = PlaneLayout { offset: into, pitch: self.pitch, size };
        let layout = Layout::new(self.size, self.format, Modifier::LINEAR, vec![plane], bytes)?;
        Ok((self.offset - into, layout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_begins_anywhere_in_a_page_and_is_lent_with_whole_ones() {
        let heap = HeapId::new("test");
        let at = |offset, pitch, height| {
            let size = Size::new(10, height);
            Wrapped { size, format: Fourcc::XRGB8888, offset, pitch }.within_pages(4096, &heap)
        };
        let place = |(start, layout): (u64, Layout)| (start, layout.planes()[0].offset, layout.bytes());
        assert_eq!(place(at(0, 4096, 2).unwrap()), (0, 0, 8192));
        assert_eq!(place(at(8192 + 64, 4096, 2).unwrap()), (8192, 64, 12288));
        assert_eq!(place(at(4095, 40, 1).unwrap()), (0, 4095, 8192));
        for (offset, pitch, height) in [(0, u64::MAX, 2), (1, u64::MAX / 2, 2), (4095, u64::MAX - 4096, 1)] {
            let error = at(offset, pitch, height).unwrap_err();
            assert!(error.to_string().contains("too large"), "{error}");
        }
    }
}
