//! Every field of the demand comes from the object, from what was observed, or from the law.
//! Layer: test

use penstock_sizing::{Refusal, derive};

use super::*;

const STOREFRONT: &str = include_str!("../../../crds/examples/storefront.yaml");

fn pipeline(text: &str) -> ValidatedPipeline {
    penstock_crds::parse(text).unwrap().pipeline
}

#[test]
fn the_storefront_is_mapped_field_by_field() {
    let demand = demand(&pipeline(STOREFRONT), &Facts::default());
    let sink = |name: &str, kind| SinkDemand {
        name: name.to_owned(),
        kind,
        in_flight: 1,
    };
    let expected = Demand {
        partitions: 12,
        brokers: 3,
        cores: 2,
        codec: Codec::None,
        compression_percent: 100,
        largest_message: Bytes::MIB,
        largest_batch: Bytes::MIB,
        typical_value: Bytes::KIB,
        parse_factor: 16,
        sinks: vec![
            sink("store", SinkKind::Embedded),
            sink(PRODUCER, SinkKind::Letters),
        ],
        caches: vec![CacheDemand {
            name: "visitors".to_owned(),
            kind: CacheKind::Fingerprint,
        }],
        ..Demand::default()
    };
    assert_eq!(demand, expected);
}

#[test]
fn what_was_observed_goes_before_what_is_declared() {
    let text = STOREFRONT.replace(
        "    facts:\n",
        "    facts:\n      partitions: 7\n      brokers: 5\n",
    );
    let declared = demand(&pipeline(&text), &Facts::default());
    assert_eq!((declared.partitions, declared.brokers), (7, 5));
    let facts = Facts {
        partitions: Some(9),
        brokers: Some(2),
        cores: Some(4),
    };
    let observed = demand(&pipeline(&text), &facts);
    assert_eq!(
        (observed.partitions, observed.brokers, observed.cores),
        (9, 2, 4)
    );
}

#[test]
fn an_unknown_codec_is_taken_for_the_costliest() {
    let text = STOREFRONT.replace("      compressionPercent: 100\n      codec: None\n", "");
    let demand = demand(&pipeline(&text), &Facts::default());
    assert_eq!(
        (demand.codec, demand.compression_percent),
        (Codec::Zstd, 500)
    );
}

#[test]
fn memory_wishes_are_taken_over() {
    let wishes = "  memory:\n    weights:\n      caches: 40\n    overrides:\n      kafka: 20Mi\n      \
                  workers: 5\n      window: 100\n  stages:\n";
    let text = STOREFRONT.replacen("  stages:\n", wishes, 1);
    let demand = demand(&pipeline(&text), &Facts::default());
    assert_eq!(demand.weights, PerPool([20, 25, 20, 15, 40]));
    assert_eq!(
        demand.overrides,
        PerPool([Some(Bytes::mib(20)), None, None, None, None])
    );
    assert_eq!((demand.workers, demand.window), (Some(5), 100));
}

#[test]
fn the_demand_is_legal_at_any_limit() {
    let demand = demand(&pipeline(STOREFRONT), &Facts::default());
    for limit in [1, 64, 128, 256, 512] {
        let refused = derive(Bytes::mib(limit), &demand);
        assert!(
            !matches!(refused, Err(Refusal::Demand(_))),
            "{limit}Mi: {refused:?}"
        );
    }
}

/// Letters are few; a stage that produces works with every record.
#[test]
fn a_producer_of_letters_alone_is_a_small_one() {
    let kind = |text: &str| {
        let sinks = demand(&pipeline(text), &Facts::default()).sinks;
        let producer = sinks.into_iter().find(|sink| sink.name == PRODUCER);
        producer.map(|sink| sink.kind)
    };
    let forward = "  stages:\n    - name: forward\n      produce:\n        topic: elsewhere\n";
    let both = STOREFRONT.replacen("  stages:\n", forward, 1);
    assert_eq!(kind(STOREFRONT), Some(SinkKind::Letters));
    assert_eq!(kind(&both), Some(SinkKind::Producer));
}
