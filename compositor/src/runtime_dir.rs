//! A directory for the socket, where the environment names none.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// A private runtime directory, removed when dropped.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
}

/// Makes sure that `XDG_RUNTIME_DIR` names a directory. Call before any thread is started.
///
/// Returns the directory that was made for it, or `None` when there was one: CI machines and containers have none.
///
/// # Errors
/// When no directory can be made under the system's directory for temporary files.
pub fn ensure() -> io::Result<Option<RuntimeDir>> {
    if env::var_os("XDG_RUNTIME_DIR").is_some_and(|path| Path::new(&path).is_dir()) {
        return Ok(None);
    }
    let path = env::temp_dir().join(format!("heapwright-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    // SAFETY: the caller promises that this is the only thread.
    unsafe { env::set_var("XDG_RUNTIME_DIR", &path) };
    Ok(Some(RuntimeDir { path }))
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        // Nothing can be done about a directory that does not go away at exit.
        let _ = fs::remove_dir_all(&self.path);
    }
}
