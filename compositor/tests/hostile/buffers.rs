//! Shared memory.

use wayland_client::{
    Proxy as _, WEnum,
    protocol::{
        wl_buffer::WlBuffer,
        wl_shm::Error::{InvalidFd, InvalidFormat, InvalidStride},
        wl_shm_pool::Request,
    },
};

use super::{
    Any, Case, Error, Fine, case,
    client::{Client, memfd},
    play,
};

const MAX: i32 = i32::MAX;

/// Makes a buffer in a pool of 64 KiB and shows it.
fn shown(client: &mut Client, shape: (i32, i32, i32, i32)) {
    let window = client.configured_window();
    let pool = client.pool(&memfd(65_536), 65_536);
    window.surface.attach(Some(&client.buffer_in(&pool, shape)), 0, 0);
    window.surface.damage(0, 0, MAX, MAX);
    window.surface.commit();
}

fn resized(client: &mut Client, bytes: i32) {
    client.pool(&memfd(65_536), 65_536).resize(bytes);
}

const CASES: &[Case] = &[
    case("a right buffer", |c| shown(c, (0, 64, 64, 256)), Fine),
    case("a pool of 0 bytes", |c| drop(c.pool(&memfd(4096), 0)), Error("wl_shm", InvalidStride as u32)),
    case("a pool of -1 bytes", |c| drop(c.pool(&memfd(4096), -1)), Error("wl_shm", InvalidStride as u32)),
    case(
        "a pool longer than its file",
        |c| drop(c.pool(&memfd(4096), 8192)),
        Error("wl_shm", InvalidFd as u32),
    ),
    case("a pool of an empty file", |c| drop(c.pool(&memfd(0), MAX)), Error("wl_shm", InvalidFd as u32)),
    case(
        "a pool of a pipe",
        |c| drop(c.pool(&rustix::pipe::pipe().unwrap().0, 4096)),
        Error("wl_shm", InvalidFd as u32),
    ),
    case("a pool resized to 0", |c| resized(c, 0), Error("wl_shm_pool", InvalidFd as u32)),
    case("a pool resized to -1", |c| resized(c, -1), Error("wl_shm_pool", InvalidFd as u32)),
    case("a pool resized to the least", |c| resized(c, i32::MIN), Error("wl_shm_pool", InvalidFd as u32)),
    case("a pool made smaller", |c| resized(c, 4096), Error("wl_shm_pool", InvalidFd as u32)),
    case("a pool resized beyond its file", |c| resized(c, MAX), Fine),
    case(
        "a picture beyond the file, in a pool resized beyond it",
        |c| {
            let window = c.configured_window();
            let pool = c.pool(&memfd(4096), 4096);
            pool.resize(1 << 24);
            window.surface.attach(Some(&c.buffer_in(&pool, (1 << 20, 64, 64, 256))), 0, 0);
            window.surface.damage(0, 0, MAX, MAX);
            window.surface.commit();
        },
        Any,
    ),
    case(
        "a file cut off below the picture it holds",
        |c| {
            let window = c.configured_window();
            let file = memfd(65_536);
            let pool = c.pool(&file, 65_536);
            c.settle().unwrap();
            rustix::fs::ftruncate(&file, 0).unwrap();
            window.surface.attach(Some(&c.buffer_in(&pool, (0, 64, 64, 256))), 0, 0);
            window.surface.damage(0, 0, MAX, MAX);
            window.surface.commit();
        },
        Any,
    ),
    case(
        "a pool resized under the picture it holds",
        |c| {
            let window = c.configured_window();
            let file = memfd(1 << 20);
            let pool = c.pool(&file, 65_536);
            window.surface.attach(Some(&c.buffer_in(&pool, (0, 64, 64, 256))), 0, 0);
            window.surface.damage(0, 0, MAX, MAX);
            window.surface.commit();
            c.settle().unwrap();
            pool.resize(1 << 20);
            window.surface.damage(0, 0, MAX, MAX);
            window.surface.commit();
        },
        Fine,
    ),
    case(
        "a picture with a negative offset",
        |c| shown(c, (-4, 64, 64, 256)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "a picture that ends beyond its pool",
        |c| shown(c, (65_532, 64, 64, 256)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "offset and size that overflow",
        |c| shown(c, (MAX, 64, 64, 256)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "pitch times height that overflows",
        |c| shown(c, (0, 64, 1 << 24, 256)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "a pitch below the width",
        |c| shown(c, (0, 64, 64, 255)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case("a pitch of 0", |c| shown(c, (0, 64, 64, 0)), Error("wl_shm_pool", InvalidStride as u32)),
    case("a negative pitch", |c| shown(c, (0, 64, 64, -256)), Error("wl_shm_pool", InvalidStride as u32)),
    case(
        "a pitch of no whole words",
        |c| shown(c, (0, 63, 64, 255)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case("a picture of width 0", |c| shown(c, (0, 0, 64, 256)), Error("wl_shm_pool", InvalidStride as u32)),
    case(
        "a picture of height -1",
        |c| shown(c, (0, 64, -1, 256)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "the largest of everything",
        |c| shown(c, (MAX, MAX, MAX, MAX)),
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case("an offset of no whole words", |c| shown(c, (1, 64, 64, 256)), Any),
    case(
        "a picture wider than any screen",
        |c| {
            let window = c.configured_window();
            let pool = c.pool(&memfd(1 << 30), 1 << 30);
            window.surface.attach(Some(&c.buffer_in(&pool, (0, 1 << 28, 1, 1 << 30))), 0, 0);
            window.surface.commit();
        },
        Error("wl_shm_pool", InvalidStride as u32),
    ),
    case(
        "a picture as wide as is allowed",
        |c| {
            let window = c.configured_window();
            let pool = c.pool(&memfd(262_140), 262_140);
            window.surface.attach(Some(&c.buffer_in(&pool, (0, 65_535, 1, 262_140))), 0, 0);
            window.surface.damage(0, 0, MAX, MAX);
            window.surface.commit();
        },
        Fine,
    ),
    case(
        "a format that nobody knows",
        |c| {
            let pool = c.pool(&memfd(65_536), 65_536);
            let format = WEnum::Unknown(0x1234_5678);
            let request = Request::CreateBuffer { offset: 0, width: 64, height: 64, stride: 256, format };
            let data = c.handle.make_data::<WlBuffer, _>(());
            let _: WlBuffer = pool.send_constructor(request, data).unwrap();
        },
        Error("wl_shm_pool", InvalidFormat as u32),
    ),
    case(
        "a picture destroyed while it is shown",
        |c| {
            let window = c.configured_window();
            let buffer = c.buffer(64, 64);
            window.surface.attach(Some(&buffer), 0, 0);
            buffer.destroy();
            window.surface.commit();
        },
        Fine,
    ),
];

#[test]
fn memory_that_is_not_what_it_says() {
    play(CASES);
}
