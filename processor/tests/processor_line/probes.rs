//! The status address: probes, metrics and account of a living and of an ending processor.
//! Layer: test

use penstock_processor::metrics::METRICS;
use serde_json::Value;

use crate::{
    broker::{Broker, Sent},
    process::{Process, get, ours},
    setting::{Setting, event},
};

/// What others read of the account.
const FIELDS: [&str; 28] = [
    "/pipeline",
    "/readiness",
    "/control/state",
    "/control/settled",
    "/finished/done",
    "/finished/filtered",
    "/finished/duplicates",
    "/finished/deadLettered",
    "/partitions/0/topic",
    "/partitions/0/epoch",
    "/partitions/0/watermark",
    "/partitions/0/window",
    "/partitions/0/windowLimit",
    "/partitions/0/lagRecords",
    "/partitions/0/lagSeconds",
    "/partitions/0/blockedKeys",
    "/partitions/0/hottestKeyPermille",
    "/partitions/0/ceilingPerSecond",
    "/gears",
    "/source/rebalances",
    "/source/trouble",
    "/plan/windowRecords",
    "/memory/limitBytes",
    "/memory/parts/0/plannedBytes",
    "/detached/0/queued",
    "/detached/0/secondsUntilBackPressure",
    "/sinks/0/breaker",
    "/troubles",
];

fn account(processor: &Process) -> Value {
    let (code, body) = get(processor.address, "/status").expect("an answer");
    assert_eq!(code, 200);
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn a_living_processor_answers_all_questions() {
    let (broker, folder) = (Broker::start(2), tempfile::tempdir().expect("a folder"));
    let records: Vec<_> = (0..20)
        .map(|n| Sent::new("k", event(&n.to_string())))
        .collect();
    broker.send(0, &records);
    let setting = Setting {
        partitions: 2,
        ..Setting::default()
    };
    let mut processor = Process::start(&ours(), folder.path(), &setting.text(&broker));
    let status = processor.until("readiness", |status| {
        status.finished.done == 20 && status.readiness == "ready"
    });
    assert_eq!(status.partitions.len(), 2);
    // All that an idle line holds of the sinks' pool is the page cache of its file.
    let held = |name: &str| {
        let mut parts = status.memory.parts.iter();
        let part = parts.find(|part| part.name == name).expect(name);
        part.held_bytes.map(|held| (held, part.planned_bytes))
    };
    let (sinks, planned) = held("sinks").expect("sinks are counted");
    assert!((2 << 20..planned).contains(&sinks), "{sinks} of {planned}");
    assert_eq!((held("caches"), held("kafka")), (Some((0, 0)), None));
    let account = account(&processor);
    for field in FIELDS {
        assert!(
            account.pointer(field).is_some(),
            "{field} is not in {account:#}"
        );
    }
    let ask = |path| get(processor.address, path).expect("an answer");
    assert_eq!(ask("/livez"), (200, "alive".to_owned()));
    assert_eq!(ask("/readyz"), (200, "ready".to_owned()));
    assert_eq!(ask("/elsewhere").0, 404);
    let (code, metrics) = ask("/metrics");
    assert_eq!(code, 200);
    for metric in METRICS {
        let kind = format!("# TYPE {} {}\n", metric.name, metric.kind);
        assert!(metrics.contains(&kind), "{kind} is not in {metrics}");
    }
    let done = "penstock_records_finished_total{outcome=\"done\"} 20\n";
    assert!(metrics.contains(done), "{metrics}");
    processor.stop();
}

/// A stopping pod still answers, so that whoever asks sees that it is on its way out. The end of a
/// small processor is quick: the answer is asked for until the address is gone.
#[test]
fn a_stopping_processor_is_not_ready() {
    let (broker, folder) = (Broker::start(1), tempfile::tempdir().expect("a folder"));
    broker.send(0, &[Sent::new("k", event("1"))]);
    let settings = Setting::default().text(&broker);
    let mut processor = Process::start(&ours(), folder.path(), &settings);
    processor.until("readiness", |status| status.readiness == "ready");
    processor.terminate();
    let mut last = None;
    while processor.ended().is_none() {
        last = get(processor.address, "/readyz").ok().or(last);
    }
    assert_eq!(last, Some((503, "stopping".to_owned())));
}
