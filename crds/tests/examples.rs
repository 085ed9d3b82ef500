//! Every example is a legal pipeline, and the storefront means what its stories say.
//! Layer: test

use std::{fs, time::Duration};

use penstock_crds::{
    event_pipeline::EventPipeline,
    parse, parse_settings,
    pipeline::{Guard, Mode, StageBody, StageKind, Start, ValidatedPipeline},
    settings::{Observed, ProcessorSettings},
    validate,
};

fn examples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = fs::read_dir(folder)
        .expect("the folder is committed")
        .map(|entry| entry.expect("the folder can be read").path());
    let yaml = files.filter(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    yaml.map(|path| {
        (
            path.display().to_string(),
            fs::read_to_string(&path).expect("an example is text"),
        )
    })
    .collect()
}

fn storefront() -> ValidatedPipeline {
    parse(include_str!("../examples/storefront.yaml"))
        .expect("the storefront is legal")
        .pipeline
}

#[test]
fn every_example_parses_and_survives_a_round_trip() {
    let examples = examples();
    assert!(!examples.is_empty(), "no example was found");
    for (file, text) in examples {
        let parsed = parse(&text).unwrap_or_else(|faults| panic!("{file}:\n{faults}"));
        let json = serde_json::to_string(&parsed.object).expect("as the test has it");
        let again: EventPipeline = serde_json::from_str(&json).expect("as the test has it");
        assert_eq!(again, parsed.object, "{file}");
        assert_eq!(
            validate(&again).expect("as the test has it"),
            parsed.pipeline,
            "{file}"
        );
    }
}

#[test]
fn settings_carry_a_pipeline_there_and_back() {
    for (file, text) in examples() {
        let parsed = parse(&text).expect("as the test has it");
        let observed = Observed {
            partitions: Some(12),
            brokers: Some(3),
        };
        let settings = ProcessorSettings::new(&parsed.object, observed, 268_435_456);
        let read = parse_settings(&settings.to_text()).unwrap_or_else(|f| panic!("{file}:\n{f}"));
        assert_eq!(read.pipeline, parsed.pipeline, "{file}");
        assert_eq!(
            (read.observed, read.planned_limit_bytes),
            (observed, 268_435_456)
        );
        let object = settings.object();
        assert_eq!(object.spec, parsed.object.spec);
        assert_eq!(
            object.metadata.namespace.as_deref(),
            Some(parsed.pipeline.namespace.as_str())
        );
    }
}

#[test]
fn the_storefront_is_read_as_it_is_meant() {
    let pipeline = storefront();
    assert_eq!(pipeline.name.as_str(), "storefront");
    assert_eq!(pipeline.resources.memory_limit.bytes(), 256 << 20);
    assert_eq!(pipeline.source.start, Start::Earliest);
    assert_eq!(pipeline.source.max_message_bytes, 1 << 20);
    assert_eq!(pipeline.source.client.drain, Duration::from_secs(1));
    assert_eq!(
        pipeline
            .failure
            .dead_letter_topic
            .as_ref()
            .expect("as the test has it")
            .as_str(),
        "storefront-events.dead"
    );
    let kinds: Vec<_> = pipeline
        .stages
        .iter()
        .map(|stage| stage.body.kind())
        .collect();
    let upsert = StageKind::Upsert;
    let expected = [
        StageKind::Index,
        StageKind::Set,
        upsert,
        upsert,
        StageKind::Count,
        StageKind::Unique,
    ];
    assert_eq!(kinds, expected);
    let detached = pipeline
        .stages
        .iter()
        .filter(|stage| stage.mode == Mode::Detached)
        .count();
    assert_eq!(detached, 3);
    assert!(pipeline.reads_body() && pipeline.produces());
}

#[test]
fn the_storefront_increments_under_the_offset_guard() {
    for stage in storefront().stages {
        if let StageBody::Upsert(upsert) = stage.body {
            assert_eq!(upsert.guard, Guard::Offset, "{}", stage.name);
            assert_eq!(storefront().sink(upsert.sink).name.as_str(), "store");
        }
    }
}
