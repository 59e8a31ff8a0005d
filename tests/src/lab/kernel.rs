//! The guests' kernels, built from Debian's source package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use super::{LabError, cache::Cache, mirror, step};

/// For benchmarks: vkms without mapping each framebuffer, off unless asked for.
const PATCH: &str = include_str!("../../lab/vkms-skip-vmap.patch");
/// Source package, and the suite that has it.
const SOURCE: (&str, &str) = ("linux-source-7.3", "trixie-backports");

/// What makes one kernel.
struct Recipe {
    /// Of the artefact and its log.
    name: &'static str,
    /// Changed when the steps change.
    version: &'static str,
    architecture: &'static str,
    /// Options over tinyconfig.
    config: &'static str,
    target: &'static str,
    /// What `make` leaves, below the source.
    made: &'static str,
    /// The file of the artefact.
    file: &'static str,
}

const UML: Recipe = Recipe {
    name: "uml-kernel",
    version: "1",
    architecture: "um",
    config: include_str!("../../lab/uml.config"),
    target: "linux",
    made: "linux",
    file: "linux",
};

const QEMU: Recipe = Recipe {
    name: "qemu-kernel",
    version: "1",
    architecture: "x86",
    config: include_str!("../../lab/qemu-x86.config"),
    target: "bzImage",
    made: "arch/x86/boot/bzImage",
    file: "bzImage",
};

/// The User-Mode Linux kernel; built if it is not there (4 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn uml(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    build(&UML, cache, progress)
}

/// The kernel of QEMU's guests; built if it is not there (4 to 8 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn qemu(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    build(&QEMU, cache, progress)
}

fn build(recipe: &Recipe, cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    let logs = cache.logs()?;
    let inputs = [recipe.version, recipe.config, PATCH, SOURCE.0, SOURCE.1];
    let artefact = cache.artefact(recipe.name, &inputs, |done| {
        let archive = source(cache, &logs, progress)?;
        let log = step::fresh_log(&logs, recipe.name)?;
        let work = tempfile::tempdir_in(done).map_err(LabError::file(done))?;
        let work = work.path();
        progress("unpacking the kernel's source");
        step::run(
            "unpacking the source",
            &log,
            Command::new("tar").arg("xf").arg(archive).current_dir(work),
        )?;
        let source = work.join(SOURCE.0);
        let write = |name: &str, text: &str| {
            let path = work.join(name);
            fs::write(&path, text).map_err(LabError::file(&path)).map(|()| path)
        };
        let (config, patch) = (write("lab.config", recipe.config)?, write("lab.patch", PATCH)?);
        let make = |arguments: &[&str]| {
            let mut command = Command::new("make");
            command.arg(format!("ARCH={}", recipe.architecture)).args(arguments).current_dir(&source);
            command
        };
        step::run(
            "patching",
            &log,
            Command::new("patch").arg("-p1").arg("-i").arg(patch).current_dir(&source),
        )?;
        step::run("tinyconfig", &log, &mut make(&["tinyconfig"]))?;
        let mut merge = Command::new("scripts/kconfig/merge_config.sh");
        step::run("merging options", &log, merge.args(["-m", ".config"]).arg(config).current_dir(&source))?;
        step::run("olddefconfig", &log, &mut make(&["olddefconfig"]))?;
        progress(&format!("building {} (some minutes)", recipe.name));
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        step::run("building the kernel", &log, &mut make(&[&format!("-j{jobs}"), recipe.target]))?;
        let (made, kept) = (source.join(recipe.made), done.join(recipe.file));
        if recipe.architecture == "um" {
            // An ELF program, with all its symbols.
            step::run("stripping", &log, Command::new("strip").arg("-o").arg(&kept).arg(made))
        } else {
            fs::copy(&made, &kept).map(|_| ()).map_err(LabError::file(made))
        }
    })?;
    Ok(artefact.join(recipe.file))
}

/// The archive of the kernel's source, kept for the next kernel.
fn source(cache: &Cache, logs: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    let file = format!("{}.tar.xz", SOURCE.0);
    let artefact = cache.artefact("kernel-source", &[SOURCE.0, SOURCE.1], |done| {
        let log = step::fresh_log(logs, "kernel-source")?;
        let work = tempfile::tempdir_in(done).map_err(LabError::file(done))?;
        progress(&format!("downloading {}", SOURCE.0));
        let unpacked = mirror::unpack(SOURCE.0, SOURCE.1, work.path(), &log)?;
        let archive = unpacked.join("usr/src").join(&file);
        fs::rename(&archive, done.join(&file)).map_err(LabError::file(archive))
    })?;
    Ok(artefact.join(file))
}
