//! Test programs of the workspace that are to run in a guest.

use std::{env, path::PathBuf, process::Command};

use serde_json::Value;

use super::{LabError, error::tail};

/// Builds the integration test `name` and says where its program is.
///
/// All of the workspace is named, so that nothing is built that `cargo test --workspace` has not built already.
///
/// # Errors
/// [`LabError::Build`] when there is no such test, or cargo can't build it.
pub fn test_program(name: &str) -> Result<PathBuf, LabError> {
    let failed = |tail: String| LabError::Build { name: name.to_owned(), tail };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["test", "--workspace", "--test", name, "--no-run", "--message-format=json"];
    let output = Command::new(cargo).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name && output.status.success())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| failed(tail(&said, 40)))
}
