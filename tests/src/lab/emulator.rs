//! QEMU: of one version on every host, and beside whatever parts of another version the host has.
//!
//! Debian 12's QEMU and that of its backports exclude each other package by package, so installing ours could cost a
//! machine its own. Nothing is installed: the programs run from a directory, with their own libraries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    LabError,
    cache::Cache,
    debian::{self, Tree},
    step,
};

/// The emulators of all lanes.
const PACKAGES: &str = "qemu-system-x86 qemu-system-arm";
/// The release that they are from.
const SUITE: &str = "trixie";
/// Changed when the steps below change.
const RECIPE: &str = "1";
/// Below the directory: what the programs read.
const DATA: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// The emulators.
#[derive(Debug)]
pub struct Emulator {
    root: PathBuf,
    libraries: PathBuf,
    loader: PathBuf,
}

impl Emulator {
    /// Those of the cache; unpacked if they are not there (ten seconds and 230 MB).
    ///
    /// # Errors
    /// [`LabError`] of the step that failed.
    pub fn prepare(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        let logs = cache.logs()?;
        let artefact = cache.artefact("emulator", &[RECIPE, PACKAGES, SUITE], |done| {
            progress("unpacking QEMU");
            let log = step::fresh_log(&logs, "emulator")?;
            let tree = Tree {
                variant: "extract",
                packages: PACKAGES,
                suite: SUITE,
                architectures: "",
                stale: false,
            };
            debian::unpack("QEMU's directory", tree, &done.join("root"), &log)?;
            loader(&done.join("root")).map(drop)
        })?;
        let root = artefact.join("root");
        let (libraries, loader) = loader(&root)?;
        Ok(Emulator { root, libraries, loader })
    }

    /// One of the programs, for instance `qemu-system-x86_64`.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(&self.loader);
        command.arg("--library-path").arg(&self.libraries).arg(self.root.join("usr/bin").join(name));
        for data in DATA {
            command.arg("-L").arg(self.root.join(data));
        }
        command.env("QEMU_MODULE_DIR", self.libraries.join("qemu"));
        command
    }
}

/// The directory of the libraries, named after the host's architecture, and the program that loads them.
fn loader(root: &Path) -> Result<(PathBuf, PathBuf), LabError> {
    let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let entries = fs::read_dir(&libraries).map_err(LabError::file(&libraries))?;
    let is_loader = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ld-linux"))
    };
    let found = entries.flatten().map(|entry| entry.path()).find(is_loader);
    let loader = found.ok_or_else(|| LabError::NoEmulator { path: libraries.clone() })?;
    Ok((libraries, loader))
}
