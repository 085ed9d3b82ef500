//! The scout and the last words of a process that cannot start.
//! Layer: test

use std::{fs, path::Path, process::Command};

use penstock_crds::scout::{FailureKind, ScoutReport};

use crate::{
    broker::{Broker, Sent, TOPIC},
    process::{Process, ours},
    setting::{Setting, event},
};

/// Runs the processor with a termination log to its end: exit code, output, last words.
fn ended(folder: &Path, settings: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let (file, log) = (folder.join("settings.json"), folder.join("termination-log"));
    fs::write(&file, settings).expect("a folder of ours");
    fs::write(&log, "").expect("a folder of ours");
    let output = Command::new(ours())
        .args(arguments)
        .arg("--settings")
        .arg(&file)
        .arg("--termination-log")
        .arg(&log)
        .args(["--status-address", "127.0.0.1:0"])
        .current_dir(folder)
        .output()
        .expect("the program can be started");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let last = fs::read_to_string(log).expect("it was made");
    (output.status.code(), said, last)
}

fn scouted(folder: &Path, settings: &str) -> (Option<i32>, ScoutReport) {
    let (code, said, last) = ended(folder, settings, &["scout", "--once"]);
    assert_eq!(said.trim_end(), last, "one report for both readers");
    (code, ScoutReport::parse(&last).expect("a report"))
}

#[test]
fn a_scout_tells_unreachable_brokers_from_missing_secrets_and_unwritable_sinks() {
    let (broker, folder) = (Broker::start(3), tempfile::tempdir().expect("a folder"));
    let folder = folder.path();
    let settings = Setting::default().text(&broker);
    let unreachable = settings.replace(&broker.bootstrap, "127.0.0.1:1");
    let (code, report) = scouted(folder, &unreachable);
    let failure = report.failure.expect("nobody listens there");
    assert_eq!(code, Some(3), "{failure:?}");
    assert_eq!(failure.kind, FailureKind::BrokerUnreachable);
    assert_eq!(failure.field, "spec.source.bootstrapServers");
    assert!(failure.message.contains("refused"), "{}", failure.message);
    assert!(report.sinks[0].usable);

    let secured = settings.replacen(
        "\"source\": {",
        "\"source\": {\n\"auth\": {\"mechanism\": \"Plain\", \"secretRef\": {\"name\": \"kafka\"}},",
        1,
    );
    let secured = secured.replace("store.db", "missing/store.db");
    let (code, report) = scouted(folder, &secured);
    let failure = report.failure.expect("there is no such secret");
    assert_eq!((code, failure.kind), (Some(3), FailureKind::SecretInvalid));
    assert_eq!(failure.field, "spec.source.auth.secretRef");
    assert!(!report.sinks[0].usable);
    // A processor with these settings says the same at its end.
    let (code, _, last) = ended(folder, &secured.replace("missing/", ""), &[]);
    assert_eq!(code, Some(1));
    assert!(
        last.contains("secret kafka: key username is missing"),
        "{last}"
    );
}

#[test]
fn a_refused_start_leaves_its_reason_in_the_termination_log() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let settings = Setting::default()
        .text(&broker)
        .replace("\"drain\"", "\"drian\"");
    let (code, _, last) = ended(folder.path(), &settings, &[]);
    assert_eq!(code, Some(2));
    assert!(last.contains("spec.drian"), "{last}");
}

#[test]
fn a_scout_that_stays_serves_the_lag() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let records: Vec<_> = (0..7)
        .map(|n| Sent::new("k", event(&n.to_string())))
        .collect();
    broker.send(0, &records);
    let settings = Setting::default().text(&broker);
    let mut scout = Process::start_as(&ours(), folder.path(), &settings, &["scout"]);
    let status = scout.until("the lag or the reason", |status| {
        !status.partitions.is_empty() || status.source.trouble.is_some()
    });
    assert_eq!(status.source.trouble, None);
    assert_eq!(
        (
            status.partitions[0].topic.as_str(),
            status.partitions[0].lag_records
        ),
        (TOPIC, Some(7))
    );
    scout.stop();
}
