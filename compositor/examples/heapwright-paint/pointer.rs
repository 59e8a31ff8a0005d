//! The pointer above the window: what becomes of it, and a picture of our own for it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use wayland_client::{
    QueueHandle,
    protocol::{wl_compositor, wl_pointer, wl_shm, wl_surface},
};

use crate::client::Client;

/// Pixels a side of the picture.
pub const SIDE: u32 = 24;
/// Of which so many at each edge are transparent.
pub const EDGE: u32 = 4;
/// ARGB8888 of the rest.
pub const COLOUR: u32 = 0xffff_8000;

/// What the pointer looks like above the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Look {
    /// Not at all: it would be one more thing to compose.
    #[default]
    Hidden,
    /// As the compositor has it.
    Usual,
    /// A picture of our own.
    Drawn,
}

/// What to do when the pointer comes.
#[derive(Debug, Default)]
pub struct Pointer {
    /// The device.
    pub device: Option<wl_pointer::WlPointer>,
    /// What it shall look like.
    pub look: Look,
    /// The picture's surface, where there is one.
    picture: Option<wl_surface::WlSurface>,
}

/// The picture's pixel at a place.
#[must_use]
pub fn pixel(x: u32, y: u32) -> u32 {
    let inside = EDGE..SIDE - EDGE;
    if inside.contains(&x) && inside.contains(&y) { COLOUR } else { 0 }
}

impl Pointer {
    /// With a picture, if there is to be one.
    ///
    /// # Errors
    /// No memory for it.
    pub fn new(
        look: Look,
        compositor: &wl_compositor::WlCompositor,
        shm: &wl_shm::WlShm,
        handle: &QueueHandle<Client>,
    ) -> io::Result<Self> {
        let mut pointer = Pointer { look, ..Pointer::default() };
        if look == Look::Drawn {
            let side = SIDE as i32;
            let pixels = (0..SIDE).flat_map(|y| (0..SIDE).flat_map(move |x| pixel(x, y).to_le_bytes()));
            let mut file = File::from(rustix::fs::memfd_create("pointer", rustix::fs::MemfdFlags::CLOEXEC)?);
            file.write_all(&pixels.collect::<Vec<_>>())?;
            let pool = shm.create_pool(file.as_fd(), side * side * 4, handle, ());
            let buffer = pool.create_buffer(0, side, side, side * 4, wl_shm::Format::Argb8888, handle, ());
            pool.destroy();
            let surface = compositor.create_surface(handle, ());
            surface.attach(Some(&buffer), 0, 0);
            surface.damage_buffer(0, 0, side, side);
            surface.commit();
            pointer.picture = Some(surface);
        }
        Ok(pointer)
    }

    /// It has come above the window.
    pub fn entered(&self, pointer: &wl_pointer::WlPointer, serial: u32) {
        let middle = (SIDE / 2) as i32;
        match self.look {
            Look::Hidden => pointer.set_cursor(serial, None, 0, 0),
            Look::Usual => {}
            Look::Drawn => pointer.set_cursor(serial, self.picture.as_ref(), middle, middle),
        }
    }
}
