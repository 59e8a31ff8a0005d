//! The real compositor on a screen of memory, turned by hand.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use heapwright::{
    backend::{Backend, headless::Headless},
    cli::OfferArgs,
    events::Loop,
    explicit_sync::Devices,
    memory::Memory,
    state::Heapwright,
};

use super::device::{Fake, World};

/// Where sockets are. The environment is set once, before anything here reads it.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap().keep();
    // SAFETY: every test starts with a server, which waits here, so that none of them reads the environment meanwhile.
    unsafe { std::env::set_var("XDG_RUNTIME_DIR", &directory) };
    directory
});

/// Two servers that look for a free name at a time may find the same.
static STARTING: Mutex<()> = Mutex::new(());

pub struct Server {
    turning: Loop,
    pub state: Heapwright,
    pub world: World,
    /// That which is asked, and that which is asked when it has gone.
    pub devices: [Fake; 2],
}

impl Server {
    pub fn start() -> Self {
        let directory = &*DIRECTORY;
        let starting = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turning = Loop::new().unwrap();
        let offer = OfferArgs { linux_dmabuf: 5 };
        let mut state = Heapwright::new(&turning, Memory::new(), Backend::Detached, offer).unwrap();
        drop(starting);
        assert!(directory.join(&state.socket).exists());
        Headless::attach(&mut state, 320, 240).unwrap();
        // Not `advertise_dmabuf`: where no heap makes dma-bufs, it takes back what is offered from the start.
        state.dmabuf.set_dmabuf_check(|_| true);
        state.dmabuf.set_tries_imports(false);
        let world = World::default();
        let devices = [Fake::of(&world), Fake::of(&world)];
        let boxed = devices.iter().map(|device| Box::new(device.clone()) as _).collect();
        state.offer_explicit_sync_by(Devices::new(boxed));
        Server { turning, state, world, devices }
    }

    pub fn socket(&self) -> UnixStream {
        UnixStream::connect(DIRECTORY.join(&self.state.socket)).unwrap()
    }

    /// One round.
    pub fn turn(&mut self) {
        self.turning.turn(Some(Duration::from_millis(1)), &mut self.state).unwrap();
    }

    /// Rounds until nothing is left to be done.
    pub fn settle(&mut self) {
        for _ in 0..8 {
            self.turn();
        }
    }
}
