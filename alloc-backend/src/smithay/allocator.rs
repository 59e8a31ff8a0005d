//! Smithay's allocator on our heaps: what it asks for is one more want for the solver.

use std::io;
use std::sync::Arc;

use ::smithay::backend::allocator::dmabuf::{Dmabuf, DmabufFlags, WeakDmabuf};
use ::smithay::backend::allocator::{Allocator as SmithayAllocator, Fourcc, Modifier};

use crate::buffers::{Allocator, AllocatorError, Buffer, BufferPool, Degradation, Owner, PooledBuffer, Want};
use crate::constraints::Size;
use crate::solver::problem::{Match, OptionSpec, Participant};

/// Why Smithay gets no buffer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DmabufError {
    /// No memory, or no answer.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// The descriptor could not be duplicated.
    #[error("the buffer's descriptor cannot be duplicated: {0}")]
    Descriptor(#[from] io::Error),
    /// Smithay counts pixels in 31 bits, offsets and pitches in 32.
    #[error("a buffer of {size} with a plane at byte {offset} is more than Smithay can describe")]
    TooLarge {
        /// Pixels.
        size: Size,
        /// Where its last plane begins.
        offset: u64,
    },
    /// The solver chose a format that only we know.
    #[error("format {0} has no name in Smithay")]
    Format(crate::constraints::Fourcc),
}

/// Smithay's `Allocator` on an [`Allocator`] and a pool, for buffers that always the same participants touch: the
/// renderer and the display of an output, for example.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use heapwright_alloc::buffers::{Allocator, Owner, PoolLimits};
/// use heapwright_alloc::devices::KmsDevice;
/// use heapwright_alloc::heaps::{self, Root};
/// use heapwright_alloc::smithay::DmabufAllocator;
/// use heapwright_alloc::solver::problem::Participant;
/// use smithay::backend::allocator::{Allocator as _, Fourcc, Modifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let card = Arc::new(KmsDevice::open(std::path::Path::new("/dev/dri/card0"))?);
/// let renderer = Participant { name: "renderer".into(), ..Participant::default() };
/// let screen = Participant { required: true, ..card.participant(card.crtcs()[0].id, "screen") };
///
/// let mut allocator = Allocator::new(heaps::list(&Root::default()));
/// allocator.with_device(card);
/// let pool = allocator.pool(PoolLimits::default());
/// let participants = vec![renderer, screen];
/// let mut frames = DmabufAllocator::new(Arc::new(allocator), pool, Owner::new(0), "frames", participants);
/// let dmabuf = frames.create_buffer(1920, 1080, Fourcc::Xrgb8888, &[Modifier::Linear])?;
/// # drop(dmabuf);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DmabufAllocator {
    allocator: Arc<Allocator>,
    pool: BufferPool,
    owner: Owner,
    name: String,
    participants: Vec<Participant>,
    /// Smithay has no place in a dmabuf for a handle of ours, so they are kept here until it is gone.
    lent: Vec<(WeakDmabuf, PooledBuffer)>,
    degraded: Option<Degradation>,
}

impl DmabufAllocator {
    /// An allocator for buffers of `owner`, which these participants touch. A participant without options takes whatever
    /// pairs Smithay asks for. `name` is what debugfs will show.
    pub fn new(
        allocator: Arc<Allocator>,
        pool: BufferPool,
        owner: Owner,
        name: impl Into<String>,
        participants: Vec<Participant>,
    ) -> Self {
        let (lent, degraded) = (Vec::new(), None);
        DmabufAllocator { allocator, pool, owner, name: name.into(), participants, lent, degraded }
    }

    /// What the last buffer had to do without, for lack of memory. When
    /// [`Allocator::has_recovered`] says that it ended, a new swapchain gets it back.
    pub fn degraded(&self) -> Option<&Degradation> {
        self.degraded.as_ref()
    }

    /// Gives back the buffers whose dmabufs are gone. Every allocation does so first; an output that goes idle may do it
    /// before the pool is trimmed.
    pub fn reclaim(&mut self) {
        self.lent.retain(|(dmabuf, _)| !dmabuf.is_gone());
    }
}

impl SmithayAllocator for DmabufAllocator {
    type Buffer = Dmabuf;
    type Error = DmabufError;

    fn create_buffer(
        &mut self,
        width: u32,
        height: u32,
        fourcc: Fourcc,
        modifiers: &[Modifier],
    ) -> Result<Dmabuf, DmabufError> {
        self.reclaim();
        let options: Vec<OptionSpec> = modifiers
            .iter()
            .map(|modifier| OptionSpec {
                format: Match::Is(crate::constraints::Fourcc(fourcc as u32)),
                modifier: Match::Is(crate::constraints::Modifier(u64::from(*modifier))),
                ..OptionSpec::default()
            })
            .collect();
        let mut participants = self.participants.clone();
        for open in participants
            .iter_mut()
            .filter(|it| it.options.is_none() && it.alternatives.is_none() && it.groups.is_none())
        {
            open.options = Some(options.clone());
        }
        // Also where everybody has options of his own, the answer must be one that was asked for.
        let name = "(smithay)".to_owned();
        participants.push(Participant { name, options: Some(options), ..Participant::default() });
        let size = Size { width, height };
        let want =
            Want { size, participants, count: 1, name: &self.name, dma_buf_only: true, ..Want::default() };
        let mut made = self.allocator.allocate_pooled(&want, &self.pool, self.owner)?;
        self.degraded = made.degraded;
        let Some(buffer) = made.buffers.pop() else { return Err(AllocatorError::TooMany(0).into()) };
        // A dmabuf may end in a framebuffer or with a client: from its return on, the pool asks the kernel who has it.
        drop(buffer.export().map_err(io::Error::from)?);
        let dmabuf = dmabuf(buffer.buffer())?;
        self.lent.push((dmabuf.weak(), buffer));
        Ok(dmabuf)
    }
}

/// Smithay's view of a buffer. Its descriptors are duplicates: the memory stays for as long as the dmabuf does.
///
/// # Errors
/// [`DmabufError`] when there is no descriptor left, or Smithay has no words for the buffer.
pub fn dmabuf(buffer: &Buffer) -> Result<Dmabuf, DmabufError> {
    let size = buffer.size();
    let last = buffer.planes().last().map_or(0, |plane| plane.offset);
    let too_large = || DmabufError::TooLarge { size, offset: last };
    let side = |pixels: u32| i32::try_from(pixels).map_err(|_| too_large());
    let word = |bytes: u64| u32::try_from(bytes).map_err(|_| too_large());
    let code = Fourcc::try_from(buffer.format()).map_err(|_| DmabufError::Format(buffer.format()))?;
    let modifier = Modifier::from(buffer.modifier().0);
    let pixels = (side(size.width)?, side(size.height)?);
    let mut builder = Dmabuf::builder(pixels, code, modifier, DmabufFlags::empty());
    for (index, plane) in (0..).zip(buffer.planes()) {
        let (offset, pitch) = (word(plane.offset)?, word(plane.pitch)?);
        builder.add_plane(buffer.fd().try_clone_to_owned()?, index, offset, pitch);
    }
    builder.build().ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::{Layout, PoolLimits};
    use crate::constraints::{Fourcc as Code, Modifier as Mod};
    use crate::heaps::{Heap, HeapList, MemfdHeap, Root};
    use crate::solver::PlaneLayout;
    use ::smithay::backend::allocator::Buffer as _;

    #[test]
    fn planes_keep_their_places_and_too_large_a_picture_is_an_error() {
        let buffer = |size: Size, pitch: u64| {
            let luma = PlaneLayout { offset: 0, pitch, size: pitch * 2 };
            let chroma = PlaneLayout { offset: pitch * 2, pitch, size: pitch };
            let layout = Layout::new(size, Code::NV12, Mod::LINEAR, vec![luma, chroma], pitch * 3).unwrap();
            Buffer::allocate(&MemfdHeap::new(&Root::default()), &layout, "test").unwrap()
        };
        let made = dmabuf(&buffer(Size::new(100, 2), 4096)).unwrap();
        assert_eq!((made.width(), made.height(), made.num_planes()), (100, 2, 2));
        assert_eq!(made.offsets().collect::<Vec<_>>(), [0, 8192]);
        assert_eq!(made.strides().collect::<Vec<_>>(), [4096, 4096]);
        assert_eq!((made.format().code, made.format().modifier), (Fourcc::Nv12, Modifier::Linear));
        let error = dmabuf(&buffer(Size::new(1 << 31, 2), 4096)).unwrap_err();
        assert!(matches!(error, DmabufError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn what_smithay_asks_for_is_solved_with_everybody_and_no_answer_says_who_refuses() {
        let memfd: Arc<dyn Heap> = Arc::new(MemfdHeap::new(&Root::default()));
        let allocator = Allocator::new(HeapList { heaps: vec![memfd], problems: Vec::new() });
        let pool = allocator.pool(PoolLimits::default());
        let participant = Participant { name: "renderer".into(), ..Participant::default() };
        let mut frames =
            DmabufAllocator::new(Arc::new(allocator), pool, Owner::new(0), "frames", vec![participant]);
        let error = frames.create_buffer(64, 64, Fourcc::Xrgb8888, &[Modifier::Linear]).unwrap_err();
        // A memfd is no dma-buf, so a machine with nothing else has no heap to offer.
        assert!(matches!(error, DmabufError::Allocator(AllocatorError::Unsolved { .. })), "{error}");
        assert!(frames.create_buffer(0, 64, Fourcc::Xrgb8888, &[Modifier::Linear]).is_err());
    }
}
