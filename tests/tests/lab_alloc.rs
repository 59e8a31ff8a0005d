//! heapwright-alloc against a real kernel: its `kernel_lab` and `kernel_pool` tests, run in a guest.

use std::{path::PathBuf, process::Command, time::Duration};

use heapwright_tests::lab;

/// Builds the tests and says where they are. All of the workspace is named, so that nothing is built that `cargo test
/// --workspace` has not built already.
#[allow(clippy::expect_used, reason = "a test helper")]
fn kernel_tests(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["test", "--workspace", "--test", name, "--no-run", "--message-format=json"];
    let output = Command::new(cargo).args(arguments).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("the test program")
}

/// Runs one test program in a guest.
#[allow(clippy::expect_used, reason = "a test helper")]
fn passes(name: &str) {
    let program = kernel_tests(name);
    let (directory, name) = (program.parent().expect("a directory"), program.file_name().expect("a name"));
    let outcome = lab::uml()
        .mount(directory, "/run/tests")
        .timeout(Duration::from_secs(180))
        .run(&format!("/run/tests/{} --ignored --nocapture", name.to_string_lossy()))
        .expect("a guest");
    assert_eq!(outcome.code, 0, "{}", outcome.tail());
    let all_ran = outcome.output.contains(" 0 ignored;") && !outcome.output.contains("running 0 tests");
    assert!(all_ran, "{}", outcome.tail());
}

#[test]
fn heaps_devices_and_buffers_do_on_a_real_kernel_what_they_say() {
    passes("kernel_lab");
}

#[test]
fn pools_keep_owners_apart_and_nothing_leaks_when_a_real_kernel_fails() {
    passes("kernel_pool");
}
