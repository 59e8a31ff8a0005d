//! A participant as requests. Pure. Not part of the interface: seen by the tests of who reads it.

use heapwright_alloc::{
    constraints::{ChromaPitch, Coherency, ExactPitch, Frequency, LayoutLimits, MemoryLimits, Size},
    solver::problem::{Match, OptionSpec, Participant, Role, Sync},
};
use heapwright_protocols::allocation::client::zhw_constraints_v1::{
    Any, Count, Limit, Memory, Role as Word, ZhwConstraintsV1,
};

use crate::Inexpressible;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub enum Said<'a> {
    /// `add_participant`.
    Participant {
        /// Its name.
        name: &'a str,
        /// What it does.
        role: Word,
        /// 0: required.
        weight: u32,
    },
    /// `set_device`, by its `dev_t`.
    Device(u64),
    /// `add_option`.
    Option {
        /// Fourcc.
        format: u32,
        /// Modifier.
        modifier: u64,
        /// What is left open.
        any: Any,
    },
    /// `set_rank`.
    Rank(u32),
    /// `set_limit`.
    Limit(Limit, u64),
    /// `set_memory`.
    Memory(Memory, u64),
    /// `set_count`.
    Count(Count, u32),
}

/// High and low 32 bits.
fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

impl Said<'_> {
    /// Sends it.
    pub(crate) fn send(&self, to: &ZhwConstraintsV1) {
        match self {
            Said::Participant { name, role, weight } => {
                to.add_participant((*name).to_owned(), *role, *weight);
            }
            Said::Device(number) => to.set_device(number.to_ne_bytes().to_vec()),
            Said::Option { format, modifier, any } => {
                let (high, low) = halves(*modifier);
                to.add_option(*format, high, low, *any);
            }
            Said::Rank(rank) => to.set_rank(*rank),
            Said::Limit(field, value) => {
                let (high, low) = halves(*value);
                to.set_limit(*field, high, low);
            }
            Said::Memory(field, value) => {
                let (high, low) = halves(*value);
                to.set_memory(*field, high, low);
            }
            Said::Count(field, value) => to.set_count(*field, *value),
        }
    }
}

/// Adds the requests that state a participant.
///
/// # Errors
/// [`Inexpressible`].
pub fn said<'a>(
    participant: &'a Participant,
    device: Option<u64>,
    all: &mut Vec<Said<'a>>,
) -> Result<(), Inexpressible> {
    let inexpressible = |what| Inexpressible { participant: participant.name.clone(), what };
    if participant.device.is_some() {
        return Err(inexpressible("a device is said by its number: use Constraints::with_on"));
    }
    if participant.alternatives.is_some() || participant.groups.is_some() {
        return Err(inexpressible("alternatives and groups cannot be said: ask for one of them at a time"));
    }
    if participant.memory.permitted_heaps.is_some() {
        return Err(inexpressible("heaps are the compositor's business: leave permitted_heaps out"));
    }
    if participant.options.as_ref().is_some_and(Vec::is_empty) {
        return Err(inexpressible("no option at all: leave the list out to accept everything"));
    }
    if !participant.required && participant.weight == 0 {
        return Err(inexpressible("optional with a weight of 0: 1 is the least"));
    }
    let role = match participant.role {
        Role::Render => Word::Render,
        Role::Sample => Word::Sample,
        Role::Scanout => Word::Scanout,
        Role::Cpu => Word::Cpu,
        Role::Decode => Word::Decode,
        Role::Encode => Word::Encode,
        Role::Capture => Word::Capture,
        Role::Writeback => Word::Writeback,
    };
    let weight = if participant.required { 0 } else { participant.weight };
    all.push(Said::Participant { name: &participant.name, role, weight });
    all.extend(device.map(Said::Device));
    limits(&participant.limits, all);
    for option in participant.options.iter().flatten() {
        one_option(option, all);
    }
    memory(&participant.memory, all).map_err(inexpressible)?;
    if let Some(kinds) = &participant.sync {
        let bit = |kind: &Sync| match kind {
            Sync::Implicit => 1,
            Sync::Explicit => 2,
        };
        let bits = bits(kinds, bit).ok_or("no kind of synchronisation at all: leave the list out");
        all.push(Said::Memory(Memory::Sync, bits.map_err(inexpressible)?));
    }
    let counts = participant.counts;
    for (field, value) in [
        (Count::Camping, counts.camping),
        (Count::DedicatedSlack, counts.dedicated_slack),
        (Count::SharedSlack, counts.shared_slack),
        (Count::MinCount, counts.min_count),
        (Count::MaxCount, counts.max_count),
    ] {
        all.extend(value.map(|value| Said::Count(field, value)));
    }
    Ok(())
}

fn one_option(option: &OptionSpec, all: &mut Vec<Said<'_>>) {
    let mut any = Any::empty();
    let format = match option.format {
        Match::Is(format) => format.0,
        Match::Any => {
            any |= Any::Format;
            0
        }
    };
    let modifier = match option.modifier {
        Match::Is(modifier) => modifier.0,
        Match::Any => {
            any |= Any::Modifier;
            0
        }
    };
    all.push(Said::Option { format, modifier, any });
    all.extend(option.rank.map(Said::Rank));
    limits(&option.limits, all);
}

fn limits(limits: &LayoutLimits, all: &mut Vec<Said<'_>>) {
    // By name, so that a field to come is not left out in silence.
    let LayoutLimits {
        min_size,
        max_size,
        max_area,
        width_align,
        height_align,
        min_pitch,
        max_pitch,
        pitch_align,
        pitch_at_pixel_boundary,
        exact_pitch,
        chroma_pitch,
        plane_offset_align,
        alloc_height_align,
        exact_rows,
        pad_beyond_image,
        size_align,
        max_size_bytes,
        single_allocation,
        base_align,
    } = *limits;
    let width = |size: Size| u64::from(size.width);
    let height = |size: Size| u64::from(size.height);
    let flag = |flag: bool| flag.then_some(1);
    let exact = exact_pitch.map(|pitch| match pitch {
        ExactPitch::Packed => 0,
        ExactPitch::Bytes(bytes) => bytes,
    });
    let chroma = chroma_pitch.map(|pitch| match pitch {
        ChromaPitch::Equal => 0,
        ChromaPitch::Half => 1,
        ChromaPitch::Double => 2,
    });
    for (field, value) in [
        (Limit::MinWidth, min_size.map(width)),
        (Limit::MinHeight, min_size.map(height)),
        (Limit::MaxWidth, max_size.map(width)),
        (Limit::MaxHeight, max_size.map(height)),
        (Limit::MaxArea, max_area),
        (Limit::WidthAlign, width_align),
        (Limit::HeightAlign, height_align),
        (Limit::MinPitch, min_pitch),
        (Limit::MaxPitch, max_pitch),
        (Limit::PitchAlign, pitch_align),
        (Limit::PitchAtPixelBoundary, flag(pitch_at_pixel_boundary)),
        (Limit::ExactPitch, exact),
        (Limit::PlaneOffsetAlign, plane_offset_align),
        (Limit::AllocHeightAlign, alloc_height_align),
        (Limit::ExactRows, exact_rows),
        (Limit::PadBeyondImage, pad_beyond_image),
        (Limit::SizeAlign, size_align),
        (Limit::MaxSizeBytes, max_size_bytes),
        (Limit::SingleAllocation, flag(single_allocation)),
        (Limit::BaseAlign, base_align),
        (Limit::ChromaPitch, chroma),
    ] {
        all.extend(value.map(|value| Said::Limit(field, value)));
    }
}

fn memory(limits: &MemoryLimits, all: &mut Vec<Said<'_>>) -> Result<(), &'static str> {
    let MemoryLimits {
        contiguous,
        dma_mask_bits,
        max_segments,
        max_segment_size,
        permitted_heaps: _,
        protected,
        can_protected,
        device_local_ok,
        p2p_ok,
        coherency,
        cpu_access,
    } = limits;
    let flag = |flag: bool| flag.then_some(1);
    let often = |frequency| match frequency {
        Frequency::None => None,
        Frequency::Rare => Some(1),
        Frequency::Often => Some(2),
    };
    let coherency = match coherency {
        None => None,
        Some(states) => {
            let bit = |state: &Coherency| match state {
                Coherency::Cached => 1,
                Coherency::Uncached => 2,
                Coherency::Inaccessible => 4,
            };
            Some(bits(states, bit).ok_or("no state of the CPU's caches at all: leave the list out")?)
        }
    };
    for (field, value) in [
        (Memory::Contiguous, flag(*contiguous)),
        (Memory::DmaMaskBits, dma_mask_bits.map(u64::from)),
        (Memory::MaxSegments, *max_segments),
        (Memory::MaxSegmentSize, *max_segment_size),
        (Memory::Protected, flag(*protected)),
        (Memory::CanProtected, flag(*can_protected)),
        (Memory::Coherency, coherency),
        (Memory::CpuRead, often(cpu_access.read)),
        (Memory::CpuWrite, often(cpu_access.write)),
        (Memory::DeviceLocal, device_local_ok.map(u64::from)),
        (Memory::P2p, p2p_ok.map(u64::from)),
    ] {
        all.extend(value.map(|value| Said::Memory(field, value)));
    }
    Ok(())
}

/// A sum of bits; `None` of nothing.
fn bits<T>(words: &[T], bit: impl Fn(&T) -> u64) -> Option<u64> {
    words.iter().map(bit).reduce(|all, bit| all | bit)
}
