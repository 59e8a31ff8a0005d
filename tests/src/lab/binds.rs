//! Directories made visible in other places, for one command alone: in a mount namespace that ends with it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;

/// Binds pairs of directories up to `--`, then becomes the rest.
const SCRIPT: &str =
    r#"while [ "$1" != -- ]; do mount --rbind "$1" "$2" || exit; shift 2; done; shift; exec "$@""#;

/// A command that first makes each directory of `binds` visible at its second path, and then becomes the program whose
/// name and arguments are added to it.
///
/// Its process is that of the program, which has the same number, group and files as if it had been started itself.
pub(super) fn command<'a>(binds: impl IntoIterator<Item = (&'a Path, PathBuf)>) -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !geteuid().is_root() {
        // Who may not mount here may do so in a user namespace, as its root.
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", SCRIPT, "sh"]);
    for (directory, at) in binds {
        command.arg(directory).arg(at);
    }
    command.arg("--");
    command
}

/// The program, arguments and environment of `command`, started by what [`command`] gave.
pub(super) fn wrapped(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        outer.env(name, value.unwrap_or(OsStr::new("")));
    }
    outer
}
