//! The plan of an object on the command line is the plan of its settings file in a processor.
//! Layer: test

use penstock_crds::{
    parse, parse_settings,
    settings::{Observed, ProcessorSettings},
};
use penstock_processor::plan::{Facts, demand};
use penstock_sizing::{Bytes, Plan, derive};
use proptest::prelude::*;

const STOREFRONT: &str = include_str!("../../../../crds/examples/storefront.yaml");

/// As `penstock plan` does it.
fn planned(text: &str, memory: Bytes, observed: Observed) -> Option<Plan> {
    let pipeline = parse(text).expect("the object is valid").pipeline;
    derive(memory, &demand(&pipeline, &facts(observed))).ok()
}

/// As the processor does it with the file that the operator writes.
fn run(text: &str, memory: Bytes, observed: Observed) -> Option<Plan> {
    let object = parse(text).expect("the object is valid").object;
    let file = ProcessorSettings::new(&object, observed, memory.get()).to_text();
    let settings = parse_settings(&file).expect("what we write is valid");
    let limit = Bytes(settings.planned_limit_bytes);
    derive(
        limit,
        &demand(&settings.pipeline, &facts(settings.observed)),
    )
    .ok()
}

fn facts(observed: Observed) -> Facts {
    Facts {
        partitions: observed.partitions,
        brokers: observed.brokers,
        cores: None,
    }
}

/// Variants of the example that the plan depends on.
fn objects() -> impl Strategy<Value = String> {
    let lines = [
        ("", ""),
        ("  ordering: PerKey\n", "  ordering: PerPartition\n"),
        ("memory: 256Mi\n", "memory: 256Mi\n      cpu: 1500m\n"),
        ("codec: None\n", "codec: Zstd\n"),
        ("codec: None\n", "codec: Lz4\n"),
        (
            "  stages:\n",
            "  memory: {overrides: {kafka: 20Mi}, weights: {sinks: 40}}\n  stages:\n",
        ),
        (
            "  stages:\n",
            "  memory: {overrides: {workers: 7, window: 500}}\n  stages:\n",
        ),
        ("maxMessageBytes: 1Mi\n", "maxMessageBytes: 100k\n"),
        (
            "typicalValueBytes: 1Ki\n",
            "typicalValueBytes: 0.5Ki\n      brokers: 5\n",
        ),
    ];
    prop::sample::select(lines.to_vec()).prop_map(|(from, to)| STOREFRONT.replacen(from, to, 1))
}

proptest! {
    #[test]
    fn settings_give_the_plan_of_the_object(
        text in objects(),
        mib in 64_u64..2048,
        partitions in prop::option::of(1_u32..100),
        brokers in prop::option::of(1_u32..6),
    ) {
        let observed = Observed { partitions, brokers };
        let limit = Bytes::mib(mib);
        prop_assert_eq!(planned(&text, limit, observed), run(&text, limit, observed));
    }
}

#[test]
fn the_variants_are_valid_and_differ() {
    let limit = Bytes::mib(512);
    let plan = |text: &str| planned(text, limit, Observed::default()).expect("512Mi is enough");
    let pinned = STOREFRONT.replace(
        "  stages:\n",
        "  memory: {overrides: {workers: 7}}\n  stages:\n",
    );
    assert_eq!(plan(&pinned).runtime.workers, 7);
    assert_ne!(plan(&pinned), plan(STOREFRONT));
}
