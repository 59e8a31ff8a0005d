//! The real program on a screen of memory, with a well-behaved client that must never notice anything.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use wayland_client::protocol::wl_buffer::WlBuffer;

use super::client::{Client, PATIENCE, Window};

/// The program; elsewhere than cargo built it when a guest runs this.
fn program() -> std::ffi::OsString {
    std::env::var_os("HEAPWRIGHT").unwrap_or_else(|| env!("CARGO_BIN_EXE_heapwright").into())
}

/// A running compositor.
pub struct Server {
    process: Child,
    directory: PathBuf,
    pub socket: PathBuf,
}

impl Server {
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("heapwright-hostile-{}-{count}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut process = Command::new(program())
            .args(["headless", "--size", "640x480", "--", "sleep", "600"])
            .env("XDG_RUNTIME_DIR", &directory)
            .env_remove("WAYLAND_DISPLAY")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let socket = loop {
            let found = fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.path()).find(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wayland-"))
                    && path.extension().is_none()
            });
            let listens = |socket: &PathBuf| std::os::unix::net::UnixStream::connect(socket).is_ok();
            if let Some(socket) = found.filter(listens) {
                break socket;
            }
            assert!(process.try_wait().unwrap().is_none(), "the compositor ended at once");
            assert!(Instant::now() < deadline, "the compositor does not listen");
            thread::sleep(Duration::from_millis(5));
        };
        Server { process, directory, socket }
    }

    /// What has come of the process: nothing while it runs.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().unwrap()?;
        Some(format!("{status}\n{}", self.last_words()))
    }

    /// Whether it found heaps that make dma-bufs, as it says itself.
    pub fn has_heaps(&self) -> bool {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        !log.contains("no heap here makes dma-bufs")
    }

    /// The end of the log.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(12).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked, it ends its application as well.
        let asked = i32::try_from(self.process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok());
        if !asked {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A client that was there before the hostile ones.
pub struct Bystander {
    client: Client,
    window: Window,
    buffers: [WlBuffer; 2],
    turn: usize,
}

impl Bystander {
    pub fn connect(server: &Server) -> Self {
        let mut client = Client::connect(&server.socket);
        let window = client.window(64, 64);
        let buffers = [client.buffer(64, 64), client.buffer(64, 64)];
        client.settle().unwrap();
        Bystander { client, window, buffers, turn: 0 }
    }

    /// Asks for an answer and a frame; that neither ever comes is what fails.
    pub fn is_served(&mut self) {
        let start = Instant::now();
        self.client.settle().expect("an answer for the bystander");
        let drawn = self.client.drawn();
        // Below another window frames come late, and with something to draw only.
        while start.elapsed() < PATIENCE {
            self.turn += 1;
            self.client.draw(&self.window.surface, &self.buffers[self.turn % 2]);
            if self
                .client
                .wait_for(Duration::from_millis(250), |heard| heard.drawn > drawn)
                .expect("the bystander")
            {
                return;
            }
        }
        panic!("no frame for the bystander");
    }
}
