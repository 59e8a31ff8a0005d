//! heapwright-alloc against real kernels: its `kernel_*` tests that need one, run in guests.

use std::time::Duration;

use heapwright_tests::lab::{self, Scenario};

/// Runs all ignored tests of a program in a guest, where none may be left out.
#[allow(clippy::expect_used, reason = "a test helper")]
fn all_pass(name: &str, guest: Scenario) {
    let program = lab::test_program(name).expect("the tests");
    let (directory, file) = (program.parent().expect("a directory"), program.file_name().expect("a name"));
    let outcome = guest
        .mount(directory, "/run/tests")
        .run(&format!("/run/tests/{} --ignored --nocapture", file.to_string_lossy()))
        .expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    let all_ran = outcome.output.contains(" 0 ignored;") && !outcome.output.contains("running 0 tests");
    assert!(all_ran, "{}", outcome.tail());
}

#[test]
fn heaps_devices_and_buffers_do_on_a_real_kernel_what_they_say() {
    all_pass("kernel_lab", lab::uml().timeout(Duration::from_secs(180)));
}

#[test]
fn pools_keep_owners_apart_and_nothing_leaks_when_a_real_kernel_fails() {
    all_pass("kernel_pool", lab::uml().timeout(Duration::from_secs(300)));
}

#[test]
fn smithays_frames_lie_in_kernel_heaps_and_are_not_drawn_over_while_shown() {
    all_pass("kernel_smithay", lab::uml().timeout(Duration::from_secs(180)));
}

#[test]
fn contiguous_memory_and_displays_that_differ_are_told_apart_and_used_rightly() {
    all_pass("kernel_cma", lab::qemu().timeout(Duration::from_secs(300)));
}

#[test]
fn cameras_and_codecs_are_parties_to_a_buffer_and_capture_into_it() {
    // A camera of ordinary memory, one with multi-planar queues, one of contiguous memory.
    let cameras = ["vivid.n_devs=3", "vivid.multiplanar=1,2,1", "vivid.allocators=0,0,1"];
    let guest =
        cameras.into_iter().fold(lab::uml().timeout(Duration::from_secs(180)), Scenario::kernel_argument);
    all_pass("kernel_v4l2", guest);
}
