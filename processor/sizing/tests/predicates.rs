//! Every named predicate refuses a plan that breaks it, so none of them passes by accident.
//! Layer: test

use penstock_sizing::{
    Bytes, CacheDemand, CacheKind, Demand, Plan, Pool, SinkDemand, SinkKind, derive, invariants,
};

fn demand() -> Demand {
    Demand {
        partitions: 4,
        sinks: vec![SinkDemand {
            name: "s".to_owned(),
            kind: SinkKind::Embedded,
            in_flight: 1,
        }],
        caches: vec![CacheDemand {
            name: "c".to_owned(),
            kind: CacheKind::Fingerprint,
        }],
        ..Demand::default()
    }
}

#[test]
fn each_predicate_can_fail() {
    let demand = demand();
    let good = derive(Bytes::mib(256), &demand).expect("it fits");
    assert_eq!(invariants::broken(&good, &demand), None);
    type Damage = fn(&mut Plan);
    let damages: [(&str, Damage); 8] = [
        ("parts_are_the_limit", |plan| plan.fixed.0 += 1),
        ("minimums_hold", |plan| {
            plan.minimums[Pool::Sinks] = Bytes::GIB
        }),
        ("overrides_are_exact", |plan| {
            plan.pinned[Pool::Kafka] = Some(Bytes::GIB)
        }),
        ("prefetch_fits", |plan| {
            plan.client.queued_max_messages_kbytes *= 2
        }),
        ("dispatcher_fits", |plan| plan.dispatch.rings = Bytes::GIB),
        ("sinks_fit", |plan| plan.sinks[0].total = Bytes::GIB),
        ("caches_fit", |plan| plan.caches[0].bytes = Bytes::GIB),
        ("work_goes_on", |plan| plan.runtime.workers = 0),
    ];
    for (name, damage) in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        assert_eq!(invariants::broken(&bad, &demand), Some(name));
    }
}

#[test]
fn monotone_refuses_a_pool_that_shrinks() {
    let smaller = derive(Bytes::mib(256), &demand()).expect("it fits");
    let larger = derive(Bytes::mib(300), &demand()).expect("it fits");
    assert!(invariants::monotone(&smaller, &larger));
    assert!(!invariants::monotone(&larger, &smaller));
}
