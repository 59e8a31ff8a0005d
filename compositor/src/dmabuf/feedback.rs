//! What a client is told: which device, which formats and modifiers, in which order of preference.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;

use heapwright_alloc::constraints::{Format, Fourcc, Modifier};
use heapwright_protocols::linux_dmabuf::server::zwp_linux_dmabuf_feedback_v1::{
    TrancheFlags, ZwpLinuxDmabufFeedbackV1,
};
use smithay::backend::allocator::Fourcc as DrmFourcc;
use smithay::reexports::wayland_server::Resource;
use smithay::utils::SealedFile;

/// Indices per `tranche_formats` event: a Wayland message is at most 4096 bytes, an index 2.
const INDICES_PER_EVENT: usize = 1024;

/// The first version without a main device, and with the flag for sampling instead.
const SAMPLING_SINCE: u32 = 6;

/// One preference group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tranche {
    /// `dev_t` of the device that would use the buffer.
    pub target_device: u64,
    /// Whether a display could show the buffer directly.
    pub scanout: bool,
    /// Whether the renderer reads such a buffer well. A tranche that says neither is of no use.
    pub sampling: bool,
    /// Pairs, best first. Clients are free to ignore the order within a tranche.
    pub formats: Vec<(Fourcc, Modifier)>,
}

/// A complete set of feedback parameters, checked, with its format table ready to send.
#[derive(Debug)]
pub struct Feedback {
    main_device: u64,
    tranches: Vec<Tranche>,
    indices: Vec<Vec<u16>>,
    table: SealedFile,
    table_bytes: u32,
}

/// Why a feedback could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// Nothing is left to advertise.
    #[error("no format to advertise; give at least one format that the renderer can import")]
    Empty,
    /// The specification wants at least one tranche for the main device.
    #[error("no tranche targets the main device {0:#x}; add the formats that it can import")]
    NoMainTranche(u64),
    /// The specification wants at least one tranche for sampling.
    #[error("no tranche is for sampling; add the formats that the renderer can import")]
    NoSamplingTranche,
    /// Indices have 16 bits.
    #[error("{0} format and modifier pairs, but the table holds at most 65536")]
    TooManyPairs(usize),
    /// The format table's file could not be made.
    #[error("cannot create the format table: {0}")]
    Table(#[from] io::Error),
}

/// Two feedbacks are equal when a client could not tell them apart.
impl PartialEq for Feedback {
    fn eq(&self, other: &Self) -> bool {
        self.main_device == other.main_device && self.tranches == other.tranches
    }
}

impl Feedback {
    /// Checks the tranches and writes the format table.
    ///
    /// A pair appears once for each target device and flags, where it comes first. Formats whose layout is unknown here
    /// are left out, because no buffer of theirs could be checked; so are tranches that are empty then.
    ///
    /// # Errors
    /// See [`FeedbackError`].
    pub fn new(main_device: u64, tranches: Vec<Tranche>) -> Result<Self, FeedbackError> {
        let tranches = deduplicated(tranches);
        if tranches.is_empty() {
            return Err(FeedbackError::Empty);
        }
        if !tranches.iter().any(|tranche| tranche.target_device == main_device) {
            return Err(FeedbackError::NoMainTranche(main_device));
        }

        if !tranches.iter().any(|tranche| tranche.sampling) {
            return Err(FeedbackError::NoSamplingTranche);
        }

        let mut known = HashMap::new();
        let mut table = Vec::new();
        let mut indices = Vec::with_capacity(tranches.len());
        for tranche in &tranches {
            let mut own = Vec::with_capacity(tranche.formats.len());
            for &(format, modifier) in &tranche.formats {
                let next = known.len();
                let index = *known.entry((format, modifier)).or_insert_with(|| {
                    table.extend_from_slice(&table_entry(format, modifier));
                    next
                });
                own.push(u16::try_from(index).map_err(|_| FeedbackError::TooManyPairs(index + 1))?);
            }
            indices.push(own);
        }
        let table_bytes = u32::try_from(table.len()).map_err(|_| FeedbackError::TooManyPairs(known.len()))?;
        let table = SealedFile::with_data(c"heapwright-format-table", &table)?;
        Ok(Self { main_device, tranches, indices, table, table_bytes })
    }

    /// `dev_t` of the device that imports what is not scanned out.
    pub fn main_device(&self) -> u64 {
        self.main_device
    }

    /// The preference groups, best first.
    pub fn tranches(&self) -> &[Tranche] {
        &self.tranches
    }

    /// Every pair in any tranche; a pair may come more than once.
    pub fn pairs(&self) -> impl Iterator<Item = (Fourcc, Modifier)> + '_ {
        self.tranches.iter().flat_map(|tranche| tranche.formats.iter().copied())
    }

    /// The pairs to tell clients that know no tranches: what the main device takes without scan-out, or everything when
    /// there is no such tranche. Each pair once, in order of preference.
    pub fn plain_pairs(&self) -> Vec<(Fourcc, Modifier)> {
        let plain = |tranche: &&Tranche| !tranche.scanout && tranche.target_device == self.main_device;
        let any_plain = self.tranches.iter().any(|tranche| plain(&tranche));
        let mut seen = HashSet::new();
        self.tranches
            .iter()
            .filter(|tranche| !any_plain || plain(tranche))
            .flat_map(|tranche| tranche.formats.iter().copied())
            .filter(|pair| seen.insert(*pair))
            .collect()
    }

    /// Sends all parameters, ending with `done`.
    pub(super) fn send(&self, object: &ZwpLinuxDmabufFeedbackV1) {
        let sampling = object.version() >= SAMPLING_SINCE;
        if !sampling {
            object.main_device(self.main_device.to_ne_bytes().to_vec());
        }
        object.format_table(self.table.as_fd(), self.table_bytes);
        for (tranche, indices) in self.tranches.iter().zip(&self.indices) {
            object.tranche_target_device(tranche.target_device.to_ne_bytes().to_vec());
            let mut flags = TrancheFlags::empty();
            flags.set(TrancheFlags::Scanout, tranche.scanout);
            flags.set(TrancheFlags::Sampling, sampling && tranche.sampling);
            object.tranche_flags(flags);
            for part in indices.chunks(INDICES_PER_EVENT) {
                object.tranche_formats(part.iter().flat_map(|index| index.to_ne_bytes()).collect());
            }
            object.tranche_done();
        }
        object.done();
    }
}

/// A pair may not come twice in one tranche, nor in two tranches of the same device and flags: the first one stays. A tranche
/// without a purpose goes.
fn deduplicated(tranches: Vec<Tranche>) -> Vec<Tranche> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(tranches.len());
    for mut tranche in tranches {
        // Older clients do not see what is for sampling.
        let (device, scanout) = (tranche.target_device, tranche.scanout);
        tranche.formats.retain(|&(format, modifier)| {
            is_known(format) && seen.insert((device, scanout, format, modifier))
        });
        if !tranche.formats.is_empty() && (tranche.scanout || tranche.sampling) {
            kept.push(tranche);
        }
    }
    kept
}

/// Whether a client's buffer of this format can be checked, and be named to Smithay.
fn is_known(format: Fourcc) -> bool {
    Format::of(format).is_some() && DrmFourcc::try_from(format).is_ok()
}

/// 16 bytes: format, padding, modifier, in the machine's byte order.
fn table_entry(format: Fourcc, modifier: Modifier) -> [u8; 16] {
    let mut entry = [0; 16];
    entry[..4].copy_from_slice(&format.0.to_ne_bytes());
    entry[8..].copy_from_slice(&modifier.0.to_ne_bytes());
    entry
}
