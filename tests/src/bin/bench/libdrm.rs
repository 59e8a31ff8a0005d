//! A libdrm that knows where virtual displays are since Linux 6.14: without it, compositors with GL renderers cannot take
//! clients' dma-bufs there, and the comparison would be with less than they can.

use std::path::PathBuf;

use heapwright_tests::lab::{LabError, cache::Cache, mirror, step};

/// Debian's package, and the suite that has 2.4.134.
const PACKAGE: (&str, &str) = ("libdrm2", "sid");

/// The directory of the library; downloaded if it is not there.
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn directory() -> Result<PathBuf, LabError> {
    let cache = Cache::open()?;
    let logs = cache.logs()?;
    let artefact = cache.artefact("libdrm", &[PACKAGE.0, PACKAGE.1], |done| {
        let log = step::fresh_log(&logs, "libdrm")?;
        mirror::unpack(PACKAGE.0, PACKAGE.1, done, &log).map(drop)
    })?;
    Ok(artefact.join("unpacked/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)))
}
