//! Why a buffer in shared memory is not lent to the display.

/// Why a buffer in shared memory is composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not yet.
    New,
    /// Its memory could be taken away, or it is no memfd.
    Unsealed,
    /// Sealed against writing: the kernel lends no such memory.
    ReadOnly,
    /// The client has more pools than are kept an eye on.
    TooManyPools,
    /// The client has lent as much as it may.
    Quota,
    /// The pages at its end are not all its own.
    Pages,
    /// The device cannot use such memory, by what is known or was tried.
    Display,
    /// The kernel said no to this buffer.
    Kernel,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::New => "its wl_shm buffer is shown for the first time",
            Refusal::Unsealed => "its wl_shm pool is no memfd sealed with F_SEAL_SHRINK",
            Refusal::ReadOnly => {
                "its wl_shm pool is sealed against writing, so that the kernel lends it to no display"
            }
            Refusal::TooManyPools => "its client has more wl_shm pools than are lent to displays",
            Refusal::Quota => "its client has lent as much wl_shm memory to displays as it may",
            Refusal::Pages => "its wl_shm pool does not end with a whole page",
            Refusal::Display => "it lies in wl_shm, which the display cannot read here",
            Refusal::Kernel => "the kernel did not lend its wl_shm buffer to the display",
        })
    }
}
