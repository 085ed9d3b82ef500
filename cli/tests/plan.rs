//! Exit codes and streams of `penstock plan`.
//! Layer: test

use std::process::{Command, Output};

use serde_json::Value;

fn plan(arguments: &[&str]) -> Output {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/examples/storefront.yaml"
    );
    Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["plan", "-f", example])
        .args(arguments)
        .output()
        .expect("the command can be started")
}

#[test]
fn a_plan_goes_to_standard_output_and_exits_0() {
    let output = plan(&[]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("dispatcher")
    );
}

#[test]
fn a_refusal_exits_2_and_says_what_would_do() {
    let output = plan(&["--memory", "32Mi"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("resources.limits.memory=32Mi is too small"),
        "{words}"
    );
    assert!(words.contains("smallest limit for this"), "{words}");
}

#[test]
fn a_refusal_in_json_is_an_object_on_standard_output() {
    let output = plan(&["--memory", "32Mi", "--output", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["refusal"]["field"], "resources.limits.memory");
    assert!(answer["refusal"]["smallestLimitBytes"].as_u64() > Some(32 << 20));
}

#[test]
fn a_file_that_is_not_there_exits_1() {
    let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["plan", "-f", "/nonexistent.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/nonexistent.yaml")
    );
}
