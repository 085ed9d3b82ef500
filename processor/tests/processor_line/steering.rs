//! The object's state, followed from a settings file that changes under a running processor.
//! Layer: test

use std::{fs, path::Path};

use penstock_crds::pipeline::State;

use crate::{
    broker::{Broker, Sent},
    process::{Process, get, ours},
    setting::{GROUP, Setting, event, sink},
};

const EACH: i64 = 300;

fn load(broker: &Broker, from: i64) {
    let record = |n: i64| Sent::new(&format!("k{}", n % 20), event(&n.to_string()));
    broker.send(0, &(from..from + EACH).map(record).collect::<Vec<_>>());
}

/// The settings with another state, put in place as a whole, as Kubernetes does.
fn change(folder: &Path, settings: &str, state: &str) {
    let changed = settings.replacen(
        "\"spec\": {",
        &format!("\"spec\": {{\n    \"state\": \"{state}\","),
        1,
    );
    assert_ne!(changed, settings);
    put(folder, &changed);
}

fn put(folder: &Path, text: &str) {
    fs::write(folder.join("settings.new"), text).expect("a folder of ours");
    let into = folder.join("settings.json");
    fs::rename(folder.join("settings.new"), into).expect("a folder of ours");
}

#[test]
fn pause_resume_and_drain_are_followed_without_a_restart() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let folder = folder.path();
    let settings = Setting::default().text(&broker);
    load(&broker, 0);
    let mut processor = Process::start(&ours(), folder, &settings);
    processor.until("the first records", |status| status.finished.done == 300);

    change(folder, &settings, "Paused");
    let paused = processor.until("the pause", |status| status.control.settled);
    assert_eq!(paused.control.state, State::Paused);
    let rebalances = paused.source.rebalances;
    load(&broker, EACH);
    let held = processor.until("a reason", |status| {
        let lag = status.partitions.iter().any(|p| p.lag_records == Some(300));
        lag && status.readiness == "ready"
    });
    assert_eq!(held.gears[0].reason, "the object's state is Paused");
    assert_eq!((held.finished.done, held.partitions.len()), (300, 1));
    let ready = get(processor.address, "/readyz").expect("an answer");
    assert_eq!(ready, (200, "ready".to_owned()));

    put(folder, &settings);
    let resumed = processor.until("the rest", |status| {
        status.finished.done == 600 && status.gears.is_empty()
    });
    assert_eq!(
        resumed.source.rebalances, rebalances,
        "it stayed in the group"
    );
    assert!(!resumed.control.settled);

    load(&broker, 2 * EACH);
    change(folder, &settings, "Drained");
    let drained = processor.until("the drain", |status| {
        status.control.state == State::Drained && status.control.settled
    });
    // Everything that was finished is committed, wherever the drain fell.
    let watermark = drained.partitions[0].watermark;
    assert_eq!(broker.committed(GROUP, 0), Some(watermark));
    assert_eq!(sink(folder, "SELECT count(*) FROM events"), watermark);
    processor.stop();
}

#[test]
fn what_starts_paused_admits_nothing_and_a_refused_file_changes_nothing() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    let folder = folder.path();
    let settings = Setting::default().text(&broker);
    load(&broker, 0);
    let paused = settings.replacen("\"spec\": {", "\"spec\": {\n\"state\": \"Paused\",", 1);
    let mut processor = Process::start(&ours(), folder, &paused);
    processor.until("the pause", |status| {
        status.control.settled && status.partitions.iter().any(|p| p.gear == 1)
    });

    put(folder, &settings.replace("\"stages\"", "\"stagse\""));
    let refused = processor.until("the refusal", |status| status.control.fault.is_some());
    let fault = refused.control.fault.unwrap_or_default();
    assert!(fault.contains("spec.stagse"), "{fault}");
    assert_eq!(
        (refused.control.state, refused.finished.done),
        (State::Paused, 0)
    );

    put(folder, &settings.replace("\"line\"", "\"another\""));
    let running = processor.until("the records", |status| status.finished.done == 300);
    assert_eq!(running.control.fault, None);
    assert!(
        running.control.restart_needed,
        "the group of the start holds"
    );
    processor.stop();
}
