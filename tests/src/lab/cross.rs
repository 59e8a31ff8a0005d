//! Compilers for the board: a Debian that has them, entered as a root directory of its own.
//!
//! The host needs no compiler for another machine, and rustup no target: the release that this is unpacked from has
//! Rust's standard library for it, and the very libraries that our programs link. Rust is the oldest that they are to be
//! built with.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    LabError, binds,
    cache::Cache,
    debian::{self, Tree},
    step,
};

/// Packages, one a line.
const PACKAGES: &str = include_str!("../../lab/cross-packages");
/// No newer than the guest's, whose libraries our programs meet.
const SUITE: &str = "bookworm";
const ARCHITECTURES: &str = "amd64,armhf";
/// Changed when the steps below change.
const RECIPE: &str = "1";
/// What Debian calls the target of its C compiler.
const DEBIAN: &str = "arm-linux-gnueabihf";
/// Rust's name of the board's processor.
pub const TARGET: &str = "armv7-unknown-linux-gnueabihf";
/// Where directories of the host are visible in it.
const PLACES: [&str; 4] = ["cargo", "source", "target", "work"];
/// The links that the packages' scripts would make, and that are missed.
const LINKS: [(&str, &str); 2] = [("mawk", "usr/bin/awk"), ("gcc", "usr/bin/cc")];

/// The compilers.
#[derive(Debug)]
pub struct Cross {
    root: PathBuf,
}

impl Cross {
    /// Those of the cache; unpacked if they are not there (a minute and 1.4 GB).
    ///
    /// # Errors
    /// [`LabError`] of the step that failed.
    pub fn prepare(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        let logs = cache.logs()?;
        let artefact = cache.artefact("cross", &[RECIPE, PACKAGES, SUITE, ARCHITECTURES], |done| {
            progress("unpacking the compilers for the board (a minute or two)");
            let log = step::fresh_log(&logs, "cross")?;
            let root = done.join("root");
            let tree = Tree {
                variant: "extract",
                packages: PACKAGES,
                suite: SUITE,
                architectures: ARCHITECTURES,
                stale: false,
            };
            debian::unpack("the compilers' directory", tree, &root, &log)?;
            for place in PLACES {
                let path = root.join(place);
                fs::create_dir(&path).map_err(LabError::file(path))?;
            }
            for (to, link) in LINKS {
                let link = root.join(link);
                symlink(to, &link).map_err(LabError::file(link))?;
            }
            Ok(())
        })?;
        Ok(Cross { root: artefact.join("root") })
    }

    /// A command in it, in the directory `inside`, that sees these directories of the host.
    fn command(&self, shared: &[(&Path, &str)], inside: &str) -> Command {
        let own = [(Path::new("/dev"), "dev"), (Path::new("/proc"), "proc")];
        let shared = own.iter().chain(shared).map(|(host, place)| (*host, self.root.join(place)));
        let mut command = binds::command(shared);
        // Nothing of the host's environment means anything there.
        command.args(["chroot".as_ref(), self.root.as_os_str()]);
        command.args(["env", "-i", "-C", inside, "PATH=/usr/bin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8"]);
        command
    }

    /// `make` in a directory of the host, for the board's processor.
    pub(super) fn make(&self, directory: &Path) -> Command {
        let mut command = self.command(&[(directory, "work")], "/work");
        command.args(["make", &format!("CROSS_COMPILE={DEBIAN}-")]);
        command
    }

    /// `cargo` in the workspace `source`, without a network; what it builds goes to `target`.
    pub(super) fn cargo(&self, source: &Path, target: &Path) -> Result<Command, LabError> {
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
            .ok_or(LabError::NoCache)?;
        let shared = [(home.as_path(), "cargo"), (source, "source"), (target, "target")];
        let mut command = self.command(&shared, "/source");
        let variable = TARGET.to_uppercase().replace('-', "_");
        command
            .args(["CARGO_HOME=/cargo", "CARGO_TARGET_DIR=/target", "CARGO_NET_OFFLINE=true"])
            .args(["CARGO_TERM_COLOR=never", "PKG_CONFIG_ALLOW_CROSS=1"])
            .arg(format!("PKG_CONFIG_LIBDIR=/usr/lib/{DEBIAN}/pkgconfig:/usr/share/pkgconfig"))
            .arg(format!("CARGO_TARGET_{variable}_LINKER={DEBIAN}-gcc"))
            // The processor is emulated, and our clients paint each pixel. With this compiler, what is optimised and built
            // in increments did not always link.
            .args(["CARGO_PROFILE_DEV_OPT_LEVEL=1", "CARGO_INCREMENTAL=0"])
            .arg("cargo");
        Ok(command)
    }
}
