//! What cannot run is refused at the start, with exit code 2 and the way out.
//! Layer: test

use expect_test::expect;
use penstock_processor::{
    limit::{Agreement, MemoryGroup},
    plan::{Facts, demand},
};
use penstock_sizing::{Bytes, derive};

use crate::{
    broker::Broker,
    process::{Process, ours},
    setting::Setting,
};

/// Starts it, expects exit code 2, and returns what it said, without the folder's name.
fn refused(settings: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut processor = Process::start(&ours(), folder.path(), settings);
    let status = processor.wait();
    let log = processor.log();
    assert_eq!(status.code(), Some(2), "{log}");
    log.replace(&folder.path().display().to_string(), "FOLDER")
}

/// The law's refusal of a settings file's pipeline at a limit.
fn refusal(settings: &str, limit: impl Fn(Bytes) -> Bytes) -> String {
    let settings = penstock_crds::parse_settings(settings).expect("valid settings");
    let facts = Facts {
        partitions: settings.observed.partitions,
        brokers: settings.observed.brokers,
        cores: None,
    };
    let limit = limit(Bytes(settings.planned_limit_bytes));
    let refusal = derive(limit, &demand(&settings.pipeline, &facts));
    refusal.expect_err("it does not fit").to_string()
}

/// A machine may enforce a limit of its own, and then that one is planned with: the text is that of
/// the law at the limit that holds here.
fn enforced(settings: Bytes) -> Bytes {
    let memory = MemoryGroup::find("/".as_ref()).expect("a control group");
    let enforced = memory.read().expect("its limit").limit;
    Agreement::of(settings, enforced).limit()
}

#[test]
fn what_does_not_fit_names_field_value_and_limit() {
    let broker = Broker::start(1);
    let setting = Setting {
        overrides: "kafka: 4Ti",
        ..Setting::default()
    };
    let settings = setting.text(&broker);
    let (log, refusal_here) = (refused(&settings), refusal(&settings, enforced));
    assert!(log.contains(&refusal_here), "{log}");
    expect!["memory.overrides.kafka=4Ti does not fit limit 256Mi: safety 38.4Mi + fixed 27.3Mi + 1.2 x (kafka 4096Gi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 0) = 4915.2Gi; at 256Mi at most 129.9Mi, with every other part at its minimum; smallest limit for this: 5033739Mi"].assert_eq(&refusal(&settings, |limit| limit));
}

#[test]
fn a_limit_that_is_too_small_names_the_smallest() {
    let broker = Broker::start(1);
    let setting = Setting {
        memory: "64Mi",
        ..Setting::default()
    };
    let settings = setting.text(&broker);
    if enforced(Bytes::mib(64)) == Bytes::mib(64) {
        let (log, refusal) = (refused(&settings), refusal(&settings, enforced));
        assert!(log.contains(&refusal), "{log}");
    }
    expect!["resources.limits.memory=64Mi is too small: safety 12Mi + fixed 27.3Mi + 1.2 x (kafka 14.7Mi + dispatcher 3Mi + active 16Mi + sinks 9.6Mi + caches 0) = 91.4Mi; at 64Mi no source.maxMessageBytes would do; smallest limit for this: 94Mi"].assert_eq(&refusal(&settings, |limit| limit));
}

#[test]
fn faults_of_the_file_are_all_named() {
    let broker = Broker::start(1);
    let text = Setting::default().text(&broker);
    let text = text
        .replace("\"sink\": \"store\"", "\"sink\": \"stor\"")
        .replace("\"schemaVersion\": 1", "\"schemaVersion\": 2")
        .replace("\"drain\"", "\"drian\"")
        .replace("\"16Mi\"", "\"16MiB\"");
    let log = refused(&text);
    let (_, said) = log.split_once("settings.json:").expect("it names the file");
    expect![[r#"
        schemaVersion (line 2): 2 is out of range: 1 to 1 is legal
        spec.memory.overrides.active (line 40): "16MiB" is not a quantity: a number and one of Ki Mi Gi Ti Pi Ei k M G T P E m u n or an exponent such as e6
        spec.stages[1].index.sink (line 56): "stor" is no sink: legal for index: store
        spec.stages[2].upsert.sink (line 65): "stor" is no sink: legal for upsert: store
        spec.stages[3].count.sink (line 81): "stor" is no sink: legal for count: store
        spec.drian (line 105): unknown field: legal are autoscaling, disruptionBudget, drain, failure, image, memory, ordering, pod, replicas, resources, rollout, sinks, source, stages, state"#]].assert_eq(said.trim());
}

#[test]
fn a_custom_stage_that_the_binary_does_not_have_is_named() {
    let broker = Broker::start(1);
    let folder = tempfile::tempdir().expect("a folder");
    let setting = Setting {
        stages: "\n    - {name: louder, custom: {name: shout}}\n",
        ..Setting::default()
    };
    let mut processor = Process::start(&ours(), folder.path(), &setting.text(&broker));
    assert_eq!(processor.wait().code(), Some(2));
    let log = processor.log();
    assert!(log.contains("shout"), "{log}");
}
