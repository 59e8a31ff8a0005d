//! The guest's kernel, built from Debian's source package.

use std::{fs, path::PathBuf, process::Command, thread};

use super::{LabError, cache::Cache, mirror, step};

/// Options over tinyconfig.
const CONFIG: &str = include_str!("../../lab/uml.config");
/// For benchmarks: vkms without mapping each framebuffer, off unless asked for.
const PATCH: &str = include_str!("../../lab/vkms-skip-vmap.patch");
/// Source package, and the suite that has it.
const SOURCE: (&str, &str) = ("linux-source-7.3", "trixie-backports");
/// Changed when the steps below change.
const RECIPE: &str = "1";

/// The User-Mode Linux kernel; built if it is not there (4 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn uml(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    let logs = cache.logs()?;
    let artefact = cache.artefact("uml-kernel", &[RECIPE, CONFIG, PATCH, SOURCE.0, SOURCE.1], |done| {
        let log = step::fresh_log(&logs, "uml-kernel")?;
        let work = tempfile::tempdir_in(done).map_err(LabError::file(done))?;
        let work = work.path();
        progress(&format!("downloading {}", SOURCE.0));
        let unpacked = mirror::unpack(SOURCE.0, SOURCE.1, work, &log)?;
        let archive = unpacked.join("usr/src").join(format!("{}.tar.xz", SOURCE.0));
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
        let (config, patch) = (write("lab.config", CONFIG)?, write("lab.patch", PATCH)?);
        let make = |arguments: &[&str]| {
            let mut command = Command::new("make");
            command.arg("ARCH=um").args(arguments).current_dir(&source);
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
        progress("building the kernel (some minutes)");
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        step::run("building the kernel", &log, &mut make(&[&format!("-j{jobs}"), "linux"]))?;
        let linux = done.join("linux");
        step::run("stripping", &log, Command::new("strip").arg("-o").arg(&linux).arg(source.join("linux")))
    })?;
    Ok(artefact.join("linux"))
}
