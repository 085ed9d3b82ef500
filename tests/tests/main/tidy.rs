//! The house rules that a machine can check, held to every Rust file and manifest of the repository.
//! Layer: test
//!
//! One test per rule. Beside each rule stands a sample that breaks it, so none passes silently.

mod arrows;
mod generated;
mod header;
mod purity;
mod readme;
mod shape;
mod source;
mod words;

use source::{Fault, Source};

/// Applies a rule to every file and shows all faults at once.
fn hold(rule: fn(&Source) -> Vec<Fault>) {
    let faults: Vec<String> = source::repository()
        .iter()
        .flat_map(rule)
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_walk_sees_the_repository() {
    let sources = source::repository();
    for path in [
        "processor/src/record.rs",
        "crds/src/lib.rs",
        "tests/tests/main/tidy.rs",
    ] {
        assert!(
            sources.iter().any(|source| source.path == path),
            "{path} was not walked"
        );
    }
}

#[test]
fn headers_say_purpose_and_layer() {
    hold(header::rule);
}

#[test]
fn core_files_decide_and_do_nothing() {
    hold(purity::rule);
}

#[test]
fn functions_and_files_are_short() {
    hold(shape::lengths);
}

#[test]
fn functions_take_few_arguments_and_no_bool() {
    hold(shape::arguments);
}

#[test]
fn modules_have_telling_names_and_no_mod_rs() {
    hold(shape::names);
}

#[test]
fn exceptions_are_expected_and_not_allowed() {
    hold(words::allow);
}

#[test]
fn the_memory_law_has_no_floats() {
    hold(words::floats);
}

#[test]
fn tests_do_not_sleep() {
    hold(words::sleeps);
}

#[test]
fn queues_and_channels_are_bounded() {
    hold(words::bounds);
}

#[test]
fn crates_depend_along_the_arrows() {
    let faults = arrows::repository();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn generated_files_are_in_step() {
    let faults = generated::repository();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
