//! The demo as a user starts it, around a processor that is simple enough to be right.
//! Layer: test

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
};

use serde_json::Value;

/// Cargo builds examples beside the tests that need them.
fn naive_processor() -> PathBuf {
    let penstock = PathBuf::from(env!("CARGO_BIN_EXE_penstock"));
    penstock.with_file_name("examples").join("naive_processor")
}

fn demo(arguments: &[&str], fault: &str) -> (ExitStatus, Value) {
    // a failed run keeps its folder; here it goes with the test
    let place = tempfile::tempdir().expect("a folder for the run can be made");
    let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .env("TMPDIR", place.path())
        .args([
            "demo",
            "--keys",
            "500",
            "--partitions",
            "3",
            "--output",
            "json",
            "--processor",
        ])
        .arg(naive_processor())
        .args(arguments)
        .env("NAIVE_FAULT", fault)
        .output()
        .expect("the command can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    let words = String::from_utf8_lossy(&output.stdout);
    let last = words.lines().last().unwrap_or_default();
    let verdict = serde_json::from_str(last).unwrap_or_default();
    eprintln!("{errors}\n{last}");
    (output.status, verdict)
}

#[test]
fn a_run_with_kills_is_counted_to_the_last_record() {
    let (status, verdict) = demo(&["--records", "20000", "--kill", "2", "--seed", "7"], "");
    assert_eq!(verdict["verdict"], "pass");
    assert!(status.success());
    let records = &verdict["records"];
    assert_eq!(
        (&records["produced"], &records["finished"]),
        (&20_000.into(), &20_000.into())
    );
    assert!(records["duplicates"].as_u64() > Some(100), "{records}");
    assert!(records["deadLettered"].as_u64() > Some(5), "{records}");
    assert_eq!(
        (&records["lost"], &records["outOfOrder"]),
        (&0.into(), &0.into())
    );
    assert_eq!(verdict["kills"], 2);
    assert!(verdict["memory"]["peakBytes"].as_u64() > Some(0));
}

#[test]
fn a_processor_that_forgets_records_fails() {
    let (status, verdict) = demo(&["--records", "6000"], "skip");
    assert_eq!(verdict["verdict"], "fail");
    assert_eq!(status.code(), Some(1));
    assert!(verdict["records"]["lost"].as_u64() > Some(0), "{verdict}");
    assert_eq!(verdict["sinks"]["totalsExact"], false);
}
