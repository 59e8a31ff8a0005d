//! The guests' kernels, built from Debian's source package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use super::{LabError, cache::Cache, cross::Cross, mirror, step};

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
    /// The configuration to start from.
    base: &'static str,
    /// Options over it.
    config: &'static str,
    /// Files put into the source: path and text.
    added: &'static [(&'static str, &'static str)],
    targets: &'static [&'static str],
    /// What `make` leaves below the source, and under which name it is kept.
    made: &'static [(&'static str, &'static str)],
}

const UML: Recipe = Recipe {
    name: "uml-kernel",
    version: "1",
    architecture: "um",
    base: "tinyconfig",
    config: include_str!("../../lab/uml.config"),
    added: &[],
    targets: &["linux"],
    made: &[("linux", "linux")],
};

const QEMU: Recipe = Recipe {
    name: "qemu-kernel",
    version: "1",
    architecture: "x86",
    base: "tinyconfig",
    config: include_str!("../../lab/qemu-x86.config"),
    added: &[],
    targets: &["bzImage"],
    made: &[("arch/x86/boot/bzImage", "bzImage")],
};

const BOARD: Recipe = Recipe {
    name: "board-kernel",
    version: "1",
    architecture: "arm",
    base: "vexpress_defconfig",
    config: include_str!("../../lab/board.config"),
    added: &[("arch/arm/boot/dts/arm/lab-board.dts", include_str!("../../lab/board.dts"))],
    targets: &["zImage", "arm/vexpress-v2p-ca15-tc1.dtb", "arm/lab-board.dtb"],
    made: &[
        ("arch/arm/boot/zImage", "zImage"),
        ("arch/arm/boot/dts/arm/vexpress-v2p-ca15-tc1.dtb", "untouched.dtb"),
        ("arch/arm/boot/dts/arm/lab-board.dtb", "display-cma.dtb"),
    ],
};

/// The User-Mode Linux kernel; built if it is not there (4 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn uml(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    Ok(build(&UML, cache, None, progress)?.join("linux"))
}

/// The kernel of QEMU's guests; built if it is not there (4 to 8 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn qemu(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    Ok(build(&QEMU, cache, None, progress)?.join("bzImage"))
}

/// The board's kernel and its device trees, in a directory: `zImage`, `display-cma.dtb` and `untouched.dtb`; built if
/// they are not there (5 to 9 minutes on 2 cores).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn board(cache: &Cache, cross: &Cross, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    build(&BOARD, cache, Some(cross), progress)
}

/// With the host's compiler, or with that of `cross`.
fn build(
    recipe: &Recipe,
    cache: &Cache,
    cross: Option<&Cross>,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, LabError> {
    let logs = cache.logs()?;
    let mut inputs = vec![recipe.version, recipe.config, PATCH, SOURCE.0, SOURCE.1];
    inputs.extend(recipe.added.iter().flat_map(|(path, text)| [path, text]));
    cache.artefact(recipe.name, &inputs, |done| {
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
        let write =
            |path: PathBuf, text: &str| fs::write(&path, text).map_err(LabError::file(&path)).map(|()| path);
        let config = write(work.join("lab.config"), recipe.config)?;
        let patch = write(work.join("lab.patch"), PATCH)?;
        for (path, text) in recipe.added {
            write(source.join(path), text)?;
        }
        let make = |arguments: &[&str]| {
            let mut command = match cross {
                Some(cross) => cross.make(&source),
                None => Command::new("make"),
            };
            command.arg(format!("ARCH={}", recipe.architecture)).args(arguments).current_dir(&source);
            command
        };
        step::run(
            "patching",
            &log,
            Command::new("patch").arg("-p1").arg("-i").arg(patch).current_dir(&source),
        )?;
        step::run(recipe.base, &log, &mut make(&[recipe.base]))?;
        let mut merge = Command::new("scripts/kconfig/merge_config.sh");
        step::run("merging options", &log, merge.args(["-m", ".config"]).arg(config).current_dir(&source))?;
        step::run("olddefconfig", &log, &mut make(&["olddefconfig"]))?;
        progress(&format!("building {} (some minutes)", recipe.name));
        let jobs = format!("-j{}", thread::available_parallelism().map_or(1, usize::from));
        let targets: Vec<_> = std::iter::once(jobs.as_str()).chain(recipe.targets.iter().copied()).collect();
        step::run("building the kernel", &log, &mut make(&targets))?;
        for (made, kept) in recipe.made {
            let (made, kept) = (source.join(made), done.join(kept));
            if recipe.architecture == "um" {
                // An ELF program, with all its symbols.
                step::run("stripping", &log, Command::new("strip").arg("-o").arg(&kept).arg(made))?;
            } else {
                fs::copy(&made, &kept).map_err(LabError::file(made))?;
            }
        }
        Ok(())
    })
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
