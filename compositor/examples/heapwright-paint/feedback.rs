//! linux-dmabuf feedback as a client sees it: tranches of (format, modifier), best first.

use std::os::fd::AsFd;

use heapwright_alloc::{
    buffers::Mapping,
    constraints::{Fourcc, Modifier},
};

/// One preference group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tranche {
    /// Whether buffers of this tranche may be scanned out directly.
    pub scanout: bool,
    /// Number of the device that it is for.
    pub device: Option<u64>,
    /// Pairs, best first.
    pub formats: Vec<(Fourcc, Modifier)>,
}

/// Feedback as it comes in, event by event; complete with `done`.
#[derive(Debug, Default)]
pub struct Feedback {
    table: Vec<(Fourcc, Modifier)>,
    pending: Vec<Tranche>,
    tranche: Tranche,
    /// The last complete set of tranches.
    pub tranches: Vec<Tranche>,
    /// The last set is another than the one before.
    pub news: bool,
    /// Number of complete sets so far.
    pub rounds: u32,
}

impl Feedback {
    /// Reads the format table: entries of 16 bytes (fourcc, 4 bytes unused, modifier).
    pub fn table(&mut self, fd: impl AsFd, size: u32) -> Result<(), heapwright_alloc::buffers::MapError> {
        let mapping = Mapping::new(fd.as_fd(), u64::from(size), false)?;
        let bytes = mapping.read()?;
        let word =
            |entry: &[u8], at: usize| entry[at..at + 4].try_into().map(u32::from_ne_bytes).unwrap_or(0);
        self.table = bytes
            .chunks_exact(16)
            .map(|entry| {
                let modifier = u64::from(word(entry, 8)) | (u64::from(word(entry, 12)) << 32);
                (Fourcc(word(entry, 0)), Modifier(modifier))
            })
            .collect();
        Ok(())
    }

    /// `tranche_formats`: indices into the table, native-endian u16.
    pub fn formats(&mut self, indices: &[u8]) {
        let pairs = indices.chunks_exact(2).filter_map(|two| {
            let index = u16::from_ne_bytes([two[0], two[1]]);
            self.table.get(usize::from(index)).copied()
        });
        self.tranche.formats.extend(pairs);
    }

    /// `tranche_flags`.
    pub fn flags(&mut self, scanout: bool) {
        self.tranche.scanout = scanout;
    }

    /// `tranche_target_device`: a native `dev_t`.
    pub fn target(&mut self, device: &[u8]) {
        self.tranche.device = match *device {
            [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d]).into()),
            _ => device.try_into().ok().map(u64::from_ne_bytes),
        };
    }

    /// `tranche_done`.
    pub fn tranche_done(&mut self) {
        self.pending.push(std::mem::take(&mut self.tranche));
    }

    /// `done`.
    pub fn done(&mut self) {
        let new = std::mem::take(&mut self.pending);
        self.news |= self.tranches != new;
        self.tranches = new;
        self.rounds += 1;
    }
}
