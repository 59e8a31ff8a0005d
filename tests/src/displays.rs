//! Guests whose machine has several displays.

/// A shell function for scenarios: where each of them is.
pub const SHELL: &str = r#"
node() { # DRIVER: the display's node; nothing while it is not there
    grep -l "^$1 " /sys/kernel/debug/dri/[0-9]/name 2>/dev/null | sed 's,.*/\([0-9]\)/name,/dev/dri/card\1,'
}
"#;
