//! Files that a program writes are what that program would write now.
//! Layer: test

use std::fs;

use super::source;

/// A committed file and what it must hold.
struct Generated {
    /// From the repository's root.
    path: &'static str,
    /// The command that writes it, for whoever reads the fault.
    command: &'static str,
    content: fn() -> String,
}

/// Every generated file of the repository.
const GENERATED: [Generated; 0] = [];

fn fault(file: &Generated, committed: Option<&str>) -> Option<String> {
    let Generated {
        path,
        command,
        content,
    } = file;
    match committed {
        None => Some(format!("{path} is missing; run {command}")),
        Some(text) if text != content() => Some(format!("{path} is out of step; run {command}")),
        Some(_) => None,
    }
}

/// Faults of all generated files.
pub(super) fn repository() -> Vec<String> {
    let read = |file: &Generated| fs::read_to_string(source::root().join(file.path)).ok();
    GENERATED
        .iter()
        .filter_map(|file| fault(file, read(file).as_deref()))
        .collect()
}

#[test]
fn files_out_of_step_are_found() {
    let file = Generated {
        path: "a.yaml",
        command: "cargo make-a",
        content: || "now".to_owned(),
    };
    assert_eq!(fault(&file, Some("now")), None);
    assert_eq!(
        fault(&file, Some("then")).as_deref(),
        Some("a.yaml is out of step; run cargo make-a")
    );
    assert_eq!(
        fault(&file, None).as_deref(),
        Some("a.yaml is missing; run cargo make-a")
    );
}
