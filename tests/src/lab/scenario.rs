//! What is run in a guest, and what came of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Between, DeviceTree, LabError, Lane, Mark, cache::Cache, cross::Cross, crossbuild, error::tail, mark,
};

/// What is run in a guest: a shell script and its surroundings.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) lane: Lane,
    pub(super) mounts: Vec<(PathBuf, String)>,
    pub(super) path: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) kernel_arguments: Vec<String>,
    pub(super) memory: String,
    pub(super) timeout: Duration,
    pub(super) device_tree: DeviceTree,
    pub(super) script: String,
}

impl Scenario {
    /// An empty scenario: two minutes, and 2 GiB of memory (1 GiB on the board).
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        Scenario {
            lane,
            mounts: Vec::new(),
            path: Vec::new(),
            environment: Vec::new(),
            kernel_arguments: Vec::new(),
            memory: if lane == Lane::Board { "1G" } else { "2G" }.to_owned(),
            timeout: Duration::from_secs(120),
            device_tree: DeviceTree::default(),
            script: String::new(),
        }
    }

    /// Makes a directory of the host visible in the guest, at an absolute path below `/run`.
    #[must_use]
    pub fn mount(mut self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.mounts.push((host.into(), guest.into()));
        self
    }

    /// Puts the workspace's programs and examples, of the profile that runs this, on the guest's `PATH`. For the board,
    /// they are built.
    ///
    /// # Errors
    /// [`LabError`] when they are not built, or can't be.
    pub fn with_workspace(mut self) -> Result<Self, LabError> {
        let mut profile = profile_directory()?;
        if self.lane == Lane::Board {
            let cache = Cache::open()?;
            let cross = Cross::prepare(&cache, &mut |_| {})?;
            profile = crossbuild::workspace(&cache, &cross, &profile)?;
        }
        for program in [
            "heapwright",
            "examples/heapwright-ask",
            "examples/heapwright-paint",
            "examples/heapwright-video",
        ] {
            let path = profile.join(program);
            if !path.exists() {
                return Err(LabError::NotBuilt { path });
            }
        }
        self.path = vec!["/run/workspace".to_owned(), "/run/workspace/examples".to_owned()];
        Ok(self.mount(profile, "/run/workspace"))
    }

    /// Sets an environment variable of the script.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds to the kernel's command line, for instance `vkms.skip_vmap=1`.
    #[must_use]
    pub fn kernel_argument(mut self, argument: impl Into<String>) -> Self {
        self.kernel_arguments.push(argument.into());
        self
    }

    /// Where the board's display takes its pictures from; other lanes have no device tree.
    #[must_use]
    pub fn device_tree(mut self, tree: DeviceTree) -> Self {
        self.device_tree = tree;
        self
    }

    /// Memory of the guest, as the kernel takes it (`2G`).
    #[must_use]
    pub fn memory(mut self, memory: impl Into<String>) -> Self {
        self.memory = memory.into();
        self
    }

    /// Time after which the guest is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs a shell script as root in a new guest.
    ///
    /// `$LAB_OUT` is a directory whose files the outcome gives back. In the User-Mode Linux lane, `lab-mark NAME` notes
    /// processor times for [`Outcome::between`]; in the others, `lab-shot DISPLAY NAME` photographs a screen (bochs, virtio; pl111 on
    /// the board) into `$LAB_OUT/NAME.ppm`, and `lab-input ACTION...` types and points. Each returns when it is done. The guest ends with the script; what it left running is killed.
    ///
    /// # Errors
    /// [`LabError`] when the guest fails, and on the emulated lanes when it twice does not boot; a script that fails is an
    /// [`Outcome`].
    pub fn run(self, script: &str) -> Result<Outcome, LabError> {
        self.run_live(script, &mut |_| {})
    }

    /// As [`run`](Self::run), with the output line by line as it comes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_live(mut self, script: &str, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
        self.script = script.to_owned();
        match self.lane.run(&self, live) {
            // Before the scenario has begun, an emulated machine that falls says nothing about what is tested.
            Err(LabError::Boot { tail }) if self.lane != Lane::Uml => {
                live(&format!("the guest did not boot: a second time, after\n{tail}"));
                self.lane.run(&self, live)
            }
            ended => ended,
        }
    }
}

/// The directory of the profile (`target/debug`) that the running program is in.
fn profile_directory() -> Result<PathBuf, LabError> {
    let program = env::current_exe().map_err(LabError::file("the running program"))?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    // Tests are in `deps`, examples in `examples`.
    let inner = directory.ends_with("deps") || directory.ends_with("examples");
    Ok(if inner { directory.parent().unwrap_or(directory) } else { directory }.to_owned())
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code of the script.
    pub code: i32,
    /// Everything it printed.
    pub output: String,
    /// What the guest had used at each `lab-mark`.
    pub marks: Vec<Mark>,
    pub(super) directory: tempfile::TempDir,
}

impl Outcome {
    /// A file that the script left in `$LAB_OUT`.
    ///
    /// # Errors
    /// [`LabError::File`] when there is none.
    pub fn file(&self, name: &str) -> Result<Vec<u8>, LabError> {
        let path = self.directory.path().join("out").join(name);
        fs::read(&path).map_err(LabError::file(path))
    }

    /// As [`file`](Self::file), as text.
    ///
    /// # Errors
    /// [`LabError::File`] when there is none.
    pub fn text(&self, name: &str) -> Result<String, LabError> {
        Ok(String::from_utf8_lossy(&self.file(name)?).into_owned())
    }

    /// Processor time from one mark of the script to another.
    ///
    /// # Errors
    /// [`LabError::NoMark`] when the script did not reach one of them.
    pub fn between(&self, from: &str, to: &str) -> Result<Between, LabError> {
        mark::between(&self.marks, from, to)
    }

    /// The last lines of the output, for a failed assertion.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.output, 60)
    }
}
