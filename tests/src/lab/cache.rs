//! Artefacts keyed by what they are made from: a changed recipe makes a new one, the same recipe never runs twice.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

use super::LabError;

/// Artefacts of one kind that are kept: what is used now, and what a step back in the history wants.
const KEPT: usize = 2;

/// A directory of artefacts, outside of any checkout.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    /// Whether what is not there may be built.
    builds: bool,
}

impl Cache {
    /// `$HEAPWRIGHT_CACHE`, else `$XDG_CACHE_HOME/heapwright`, else `~/.cache/heapwright`.
    ///
    /// # Errors
    /// [`LabError::NoCache`] when none is set, [`LabError::File`] when it can't be made.
    pub fn open() -> Result<Self, LabError> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = set("HEAPWRIGHT_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|path| path.join("heapwright")))
            .or_else(|| set("HOME").map(|path| path.join(".cache/heapwright")))
            .ok_or(LabError::NoCache)?;
        fs::create_dir_all(&directory).map_err(LabError::file(&directory))?;
        Ok(Cache { directory, builds: true })
    }

    /// The same, except that it builds nothing: what is not there is [`LabError::Cold`].
    #[must_use]
    pub fn as_it_is(self) -> Self {
        Cache { builds: false, ..self }
    }

    /// Where logs of builds go.
    ///
    /// # Errors
    /// [`LabError::File`] when it can't be made.
    pub fn logs(&self) -> Result<PathBuf, LabError> {
        let logs = self.directory.join("logs");
        fs::create_dir_all(&logs).map_err(LabError::file(&logs))?;
        Ok(logs)
    }

    /// The directory of the artefact `name` made from `inputs`; `build` fills it, if it is not there yet.
    ///
    /// Others that want the same meanwhile wait. What a failed build leaves is removed; after one that succeeded, only the
    /// most recently used artefacts of this name are kept.
    ///
    /// # Errors
    /// Those of `build`, [`LabError::File`], and [`LabError::Cold`] where nothing may be built.
    pub fn artefact(
        &self,
        name: &str,
        inputs: &[&str],
        build: impl FnOnce(&Path) -> Result<(), LabError>,
    ) -> Result<PathBuf, LabError> {
        let mut hash = Sha256::new();
        for input in inputs {
            hash.update((input.len() as u64).to_le_bytes());
            hash.update(input);
        }
        let key =
            hash.finalize().iter().take(8).fold(String::new(), |key, byte| key + &format!("{byte:02x}"));
        let done = self.directory.join(format!("{name}-{key}"));
        if done.is_dir() {
            used_now(&done);
            return Ok(done);
        }
        if !self.builds {
            return Err(LabError::Cold { name: name.to_owned() });
        }
        let lock_path = self.directory.join(format!("{name}.lock"));
        let lock = fs::File::create(&lock_path).map_err(LabError::file(&lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| LabError::file(&lock_path)(error.into()))?;
        if done.is_dir() {
            return Ok(done);
        }
        let partial = self.directory.join(format!("{name}-{key}.partial"));
        if partial.exists() {
            // A build that was killed.
            fs::remove_dir_all(&partial).map_err(LabError::file(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(LabError::file(&partial))?;
        if let Err(error) = build(&partial) {
            // The next build looks again; this one's error is what counts.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        fs::rename(&partial, &done).map_err(LabError::file(&done))?;
        used_now(&done);
        self.drop_old(name);
        Ok(done)
    }

    /// Removes all but the newest artefacts of a name. What can't be removed, or was just now by another, may stay.
    fn drop_old(&self, name: &str) {
        let of_name = |path: &PathBuf| {
            let key = path.file_name().and_then(|file| file.to_str()?.strip_prefix(name)?.strip_prefix('-'));
            key.is_some_and(|key| key.len() == 16 && key.bytes().all(|it| it.is_ascii_hexdigit()))
        };
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let paths = entries.flatten().map(|entry| entry.path()).filter(of_name);
        let mut all: Vec<_> =
            paths.filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).collect();
        all.sort();
        for (_, old) in all.iter().rev().skip(KEPT) {
            let _ = fs::remove_dir_all(old);
        }
    }
}

/// Notes that an artefact is in use, for the choice of those to drop. Another user's can't be noted, and need not be.
fn used_now(artefact: &Path) {
    let _ = fs::File::open(artefact).and_then(|directory| directory.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_recipe_runs_once_and_a_changed_one_anew() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache { directory: directory.path().to_owned(), builds: true };
        let runs = std::cell::Cell::new(0);
        let make = |inputs: &[&str]| {
            cache
                .artefact("thing", inputs, |path| {
                    runs.set(runs.get() + 1);
                    fs::write(path.join("made"), "x").map_err(LabError::file(path))
                })
                .expect("an artefact")
        };
        let first = make(&["a", "b"]);
        assert_eq!(make(&["a", "b"]), first);
        assert_eq!(runs.get(), 1);
        assert_ne!(make(&["ab", ""]), first, "the borders between inputs count");
        assert_eq!(runs.get(), 2);
        assert!(first.join("made").exists());
    }

    #[test]
    fn a_cache_taken_as_it_is_tells_what_it_lacks() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache { directory: directory.path().to_owned(), builds: true };
        let there = cache.artefact("thing", &["a"], |_| Ok(())).expect("an artefact");
        let cache = cache.as_it_is();
        assert_eq!(cache.artefact("thing", &["a"], |_| panic!("built")).expect("what is there"), there);
        let error = cache.artefact("thing", &["b"], |_| panic!("built")).expect_err("nothing there");
        assert!(matches!(&error, LabError::Cold { name } if name == "thing"), "{error}");
    }

    #[test]
    fn of_each_name_the_most_recently_used_two_stay() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache { directory: directory.path().to_owned(), builds: true };
        let make = |name: &str, input: &str| cache.artefact(name, &[input], |_| Ok(())).expect("an artefact");
        let aged = |path: &Path, hours: u64| {
            let then = SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
            fs::File::open(path).and_then(|it| it.set_modified(then)).expect("a time");
        };
        let (first, second, other) = (make("thing", "1"), make("thing", "2"), make("thing-else", "1"));
        aged(&first, 3);
        aged(&second, 2);
        aged(&other, 9);
        make("thing", "1");
        let third = make("thing", "3");
        let there = [&first, &second, &third, &other].map(|path| path.is_dir());
        assert_eq!(there, [true, false, true, true]);
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_looks_done() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache { directory: directory.path().to_owned(), builds: true };
        let failed = cache.artefact("thing", &["a"], |path| {
            fs::write(path.join("half"), "x").map_err(LabError::file(path))?;
            Err(LabError::NoCache)
        });
        assert!(failed.is_err());
        let left = fs::read_dir(directory.path()).expect("the cache").flatten();
        assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0);
        let built = cache.artefact("thing", &["a"], |path| {
            assert_eq!(fs::read_dir(path).expect("the directory").count(), 0);
            Ok(())
        });
        assert!(built.is_ok());
    }
}
