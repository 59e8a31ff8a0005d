//! The directory that a guest shares with the host: what it is to run goes in, what came of it comes out.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    LabError, Mark, Outcome, Scenario,
    error::tail,
    guest::{Said, TAIL},
};

/// The guest's script.
const INIT: &str = include_str!("../../lab/init");

/// The directory of one guest; removed with what came of it.
#[derive(Debug)]
pub(super) struct Exchange {
    directory: tempfile::TempDir,
}

impl Exchange {
    /// Fills a new one: the script, the shell lines `mounts` that make the scenario's directories visible, and
    /// `programs` of the lane (name and text) for the script's `PATH`.
    pub fn new(scenario: &Scenario, mounts: &str, programs: &[(&str, &str)]) -> Result<Self, LabError> {
        let directory =
            tempfile::Builder::new().prefix("lab").tempdir().map_err(LabError::file("a lab directory"))?;
        let exchange = Exchange { directory };
        let mut mounts = mounts.to_owned();
        let path = scenario.path.iter().fold(String::new(), |all, path| all + path + ":");
        mounts.push_str(&format!("export PATH={path}/run/lab/bin:$PATH\n"));
        for (name, value) in &scenario.environment {
            mounts.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        for name in ["out", "marks", "asks", "answers", "bin"] {
            let path = exchange.file(name);
            fs::create_dir(&path).map_err(LabError::file(path))?;
        }
        for (name, text) in [("init", INIT), ("scenario", &scenario.script), ("mounts", &mounts)] {
            let path = exchange.file(name);
            fs::write(&path, text).map_err(LabError::file(path))?;
        }
        for (name, text) in programs {
            let path = exchange.file("bin").join(name);
            fs::write(&path, text).map_err(LabError::file(&path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(LabError::file(path))?;
        }
        Ok(exchange)
    }

    /// On the host.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file or directory in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory `number` below the directory `name` in it, for something to be bound there.
    pub fn place(&self, name: &str, number: usize) -> Result<PathBuf, LabError> {
        let path = self.file(name).join(number.to_string());
        fs::create_dir_all(&path).map_err(LabError::file(&path))?;
        Ok(path)
    }

    /// What came of the scenario, after the guest's end.
    pub fn outcome(self, said: &Said, marks: Vec<Mark>) -> Result<Outcome, LabError> {
        let code = fs::read_to_string(self.file("code")).ok().and_then(|code| code.trim().parse().ok());
        let log = fs::read(self.file("log")).unwrap_or_default();
        let tail = || tail(&said.text, TAIL);
        match (code, said.begun) {
            (Some(code), _) => {
                let output = String::from_utf8_lossy(&log).into_owned();
                Ok(Outcome { code, output, marks, directory: self.directory })
            }
            (None, true) => Err(LabError::Lost { tail: tail() }),
            (None, false) => Err(LabError::Boot { tail: tail() }),
        }
    }
}

/// A word that a POSIX shell takes as it is.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
