//! The table in the program, and those of this machine.

use std::env;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::table::MAX_BYTES;
use super::{QuirkError, Table, parse};

/// `assets/quirks.toml`, through a link in this crate, which packaging the crate follows.
const OURS: &str = include_str!("../../../quirks.toml");

/// A table of this machine that is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstalledError {
    /// It can't be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It makes no sense.
    #[error("{}: {source}", .path.display())]
    Wrong {
        /// The file, or `assets/quirks.toml` for the one in the program.
        path: PathBuf,
        /// What and where.
        source: QuirkError,
    },
}

/// Where a machine's and a user's tables are, the user's last: `/etc/heapwright/quirks.toml`, and `heapwright/quirks.toml`
/// below `XDG_CONFIG_HOME` or `~/.config`.
#[must_use]
pub fn usual_paths() -> Vec<PathBuf> {
    let below = |key: &str| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = below("XDG_CONFIG_HOME").or_else(|| below("HOME").map(|home| home.join(".config")));
    let of_user = config.map(|config| config.join("heapwright/quirks.toml"));
    [PathBuf::from("/etc/heapwright/quirks.toml")].into_iter().chain(of_user).collect()
}

/// The table in the program with those at `paths` on top, the last one uppermost. A path where there is nothing is no
/// error; a table that is wrong is left out as a whole, and named.
#[must_use]
pub fn installed(paths: &[PathBuf]) -> (Table, Vec<InstalledError>) {
    let mut errors = Vec::new();
    let wrong = |path: &Path, source| InstalledError::Wrong { path: path.to_owned(), source };
    let mut table = match parse(OURS) {
        Ok(table) => table,
        Err(source) => {
            errors.push(wrong(Path::new("assets/quirks.toml"), source));
            Table::default()
        }
    };
    for path in paths {
        match read(path) {
            Ok(None) => {}
            Ok(Some(text)) => match parse(&text) {
                Ok(above) => table = table.overlaid(above),
                Err(source) => errors.push(wrong(path, source)),
            },
            Err(source) => errors.push(InstalledError::Unreadable { path: path.clone(), source }),
        }
    }
    (table, errors)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    // One byte more than is allowed, so that a longer one is seen to be longer.
    file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_table_is_right() {
        let (table, errors) = installed(&[]);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!table.rules().is_empty());
    }

    #[test]
    fn a_wrong_table_is_named_and_the_others_count() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let id = installed(&[]).0.rules()[0].id.clone();
        std::fs::write(path("off"), format!("version = 1\n[[rule]]\nid = {id:?}\ndisable = true\n"))
            .expect("a file");
        std::fs::write(path("wrong"), "version = 1\n[[rule]]\nid = 3\n").expect("a file");
        let (table, errors) = installed(&[path("none"), path("wrong"), path("off")]);
        assert!(table.rules().iter().all(|rule| rule.id != id));
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.to_string().contains("wrong") && error.to_string().contains("line 3"), "{error}");
    }
}
