//! The demo as a user starts it, around a processor that is simple enough to be right.
//! Layer: test

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use penstock_cli::demo::{
    conduct::{DemoError, Options, conduct},
    progress::Audience,
    supervise::SuperviseError,
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

/// Runs the demo around a shell script; `seed` keeps the folders of tests apart.
fn with_script(place: &Path, seed: u64, script: &str) -> SuperviseError {
    let processor = place.join("processor");
    fs::write(&processor, format!("#!/bin/sh\n{script}\n")).expect("the folder is writable");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&processor, executable).expect("the file is ours");
    let options = Options {
        records: 100,
        keys: 10,
        partitions: 2,
        memory_bytes: 256 << 20,
        kills: 0,
        seed,
        bootstrap_servers: None,
        audience: Audience::Program,
        processor,
        patience: Duration::from_secs(1),
    };
    match conduct(&options) {
        Err(DemoError::Kept { source, folder }) => {
            fs::remove_dir_all(folder).expect("the folder was kept");
            match *source {
                DemoError::Processor(error) => error,
                other => SuperviseError::Thread(format!("another error: {other}")),
            }
        }
        other => SuperviseError::Thread(format!("no failure: {other:?}")),
    }
}

#[test]
fn a_processor_that_does_nothing_ends_the_run_with_what_was_waiting() {
    let place = tempfile::tempdir().unwrap();
    let error = with_script(place.path(), 1, "exec sleep 1000");
    let SuperviseError::Stalled { waiting, .. } = &error else {
        panic!("{error}")
    };
    assert!(waiting.contains("partition 0 at 0 of "), "{waiting}");
}

#[test]
fn a_processor_that_ends_by_itself_ends_the_run_with_its_last_words() {
    let place = tempfile::tempdir().unwrap();
    let error = with_script(place.path(), 2, "echo out of ideas; exit 3");
    let SuperviseError::Ended { status, log } = &error else {
        panic!("{error}")
    };
    assert_eq!((status.code(), log.as_str()), (Some(3), "out of ideas"));
}

#[test]
fn a_limit_too_small_is_refused_before_anything_starts() {
    let refused = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["demo", "--memory", "32Mi"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("smallest limit for this"), "{words}");
    assert!(!refused.status.success());
}
