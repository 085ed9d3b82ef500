//! The named predicates over limits from tiny to enormous and demands of every shape.
//! Layer: test

use penstock_sizing::{
    Bytes, CacheDemand, CacheKind, Codec, Demand, Load, PerPool, Pool, PurgeDecay, Refusal,
    SinkDemand, SinkKind, derive, invariants, same_plan, smallest_limit,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn codecs() -> impl Strategy<Value = Codec> {
    select(vec![Codec::None, Codec::Gzip, Codec::Lz4, Codec::Zstd])
}

fn sinks() -> impl Strategy<Value = Vec<SinkDemand>> {
    let kinds = select(vec![
        SinkKind::Elasticsearch,
        SinkKind::Mongodb,
        SinkKind::Redis,
        SinkKind::Http,
        SinkKind::Embedded,
        SinkKind::Producer,
        SinkKind::Letters,
    ]);
    let sink = (kinds, 1..=4_u32).prop_map(|(kind, in_flight)| SinkDemand {
        name: "s".to_owned(),
        kind,
        in_flight,
    });
    vec(sink, 0..4)
}

fn caches() -> impl Strategy<Value = Vec<CacheDemand>> {
    let kinds = select(vec![CacheKind::Fingerprint, CacheKind::Keyed]);
    vec(
        kinds.prop_map(|kind| CacheDemand {
            name: "c".to_owned(),
            kind,
        }),
        0..3,
    )
}

/// Sizes spread evenly over their magnitudes.
fn size(most: u32) -> impl Strategy<Value = Bytes> {
    (0..most, any::<u64>())
        .prop_map(|(shift, bits)| Bytes((1 << shift) | (bits & ((1 << shift) - 1))))
}

fn demands() -> impl Strategy<Value = Demand> {
    let cluster = (1..=512_u32, 1..=24_u32, 1..=64_u32);
    let topic = (codecs(), 100..=2000_u32, size(26), size(26), size(20));
    let work = (
        1..=100_u32,
        sinks(),
        caches(),
        1..=65_536_u32,
        option::of(1..=4096_u32),
    );
    let load = option::of((0..=1_000_000_u64, 0..=600_000_u64));
    let weights = [0..=1000_u32, 0..=1000, 0..=1000, 0..=1000, 0..=1000];
    let decay = select(vec![PurgeDecay::Immediate, PurgeDecay::OneSecond]);
    (cluster, topic, work, load, weights, decay).prop_map(
        |(cluster, topic, work, load, weights, purge_decay)| Demand {
            partitions: cluster.0,
            brokers: cluster.1,
            cores: cluster.2,
            codec: topic.0,
            compression_percent: topic.1,
            largest_message: topic.2,
            largest_batch: topic.3,
            typical_value: topic.4,
            parse_factor: work.0,
            sinks: work.1,
            caches: work.2,
            window: work.3,
            load: load.map(|(records_per_second, stage_millis)| Load {
                records_per_second,
                stage_millis,
            }),
            workers: work.4,
            purge_decay,
            weights: PerPool(weights),
            overrides: PerPool::default(),
        },
    )
}

/// A limit around the demand's smallest: `per_mille` of it.
fn around(demand: &Demand, per_mille: u64) -> Bytes {
    smallest_limit(demand)
        .expect("the demand is in range")
        .scaled_up(per_mille, 1000)
}

/// What the equation leaves for one pool with every other at its minimum, by the published formula
/// alone: an oracle that shares no code with the ledger.
fn room(limit: Bytes, fixed: Bytes, minimums: &PerPool<Bytes>, pool: Pool) -> Option<u64> {
    let safety = (limit.0 * 15).div_ceil(100).clamp(12 << 20, 512 << 20);
    let budget = limit.0.checked_sub(safety)?.checked_sub(fixed.0)? * 5 / 6;
    let others = Pool::ALL.into_iter().filter(|other| *other != pool);
    budget.checked_sub(others.map(|other| minimums[other].0).sum())
}

proptest! {
    #[test]
    fn every_plan_keeps_every_predicate(demand in demands(), per_mille in 900..20_000_u64) {
        if let Ok(plan) = derive(around(&demand, per_mille), &demand) {
            prop_assert_eq!(invariants::broken(&plan, &demand), None, "{}", plan);
        }
    }

    #[test]
    fn any_limit_is_answered(demand in demands(), limit in any::<u64>()) {
        match derive(Bytes(limit), &demand) {
            Ok(plan) => prop_assert_eq!(invariants::broken(&plan, &demand), None),
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
        }
    }

    #[test]
    fn a_larger_limit_takes_nothing_away(
        demand in demands(), per_mille in 1000..5000_u64, more in size(34),
    ) {
        let limit = around(&demand, per_mille);
        let smaller = derive(limit, &demand).expect("above the smallest limit");
        let larger = derive(Bytes(limit.0 + more.0), &demand).expect("above an accepted limit");
        prop_assert!(invariants::monotone(&smaller, &larger), "{}\n{}", smaller, larger);
    }

    #[test]
    fn spare_can_be_returned(demand in demands(), above in 0..4096_u64) {
        let limit = Bytes(smallest_limit(&demand).expect("the demand is in range").0 + (above << 20));
        let plan = derive(limit, &demand).expect("not below the smallest");
        let smaller = same_plan(limit, &demand).expect("it was just derived");
        prop_assert!(smaller <= limit);
        let same = derive(smaller, &demand).expect("it gives the same plan");
        prop_assert_eq!(same.pools, plan.pools);
        let less = Bytes(smaller.0 - (1 << 20));
        let other = derive(less, &demand).map(|plan| plan.pools).ok();
        prop_assert_ne!(other, Some(plan.pools));
    }

    #[test]
    fn the_smallest_limit_is_accepted_and_one_mebibyte_less_refused(demand in demands()) {
        let smallest = smallest_limit(&demand).expect("the demand is in range");
        prop_assert_eq!(smallest.0 % Bytes::MIB.0, 0);
        prop_assert!(derive(smallest, &demand).is_ok());
        let refusal = derive(Bytes(smallest.0 - Bytes::MIB.0), &demand).expect_err("less");
        let Refusal::Infeasible(shortfall) = refusal else { panic!("{refusal}") };
        prop_assert_eq!(shortfall.smallest_limit, smallest);
    }

    #[test]
    fn an_override_is_accepted_exactly_when_it_fits(
        demand in demands(), per_mille in 1000..5000_u64, pool in select(Pool::ALL.to_vec()),
        nudge in -2_i64..=2,
    ) {
        let limit = around(&demand, per_mille);
        let plain = derive(limit, &demand).expect("above the smallest limit");
        let minimum = plain.minimums[pool];
        let room = room(limit, plain.fixed, &plain.minimums, pool).expect("the limit is feasible");
        let pin = Bytes(room.saturating_add_signed(nudge));
        let mut pinned = demand.clone();
        pinned.overrides[pool] = Some(pin);
        let result = derive(limit, &pinned);
        // A pool that nothing uses has a minimum of zero and takes no override.
        let fits = minimum > Bytes::ZERO && (minimum.0..=room).contains(&pin.0);
        prop_assert_eq!(result.is_ok(), fits, "{:?}", result);
        match result {
            Ok(plan) => prop_assert_eq!(invariants::broken(&plan, &pinned), None),
            Err(Refusal::Infeasible(shortfall)) => {
                prop_assert_eq!(shortfall.field, pool.field());
                prop_assert_eq!(shortfall.largest_legal, Some(Bytes(room)));
            }
            Err(Refusal::Demand(fault)) => prop_assert_eq!(fault.field, pool.field()),
        }
    }

    #[test]
    fn what_a_refusal_calls_legal_is_legal(
        demand in demands(), pin in size(40), pool in select(Pool::ALL.to_vec()),
    ) {
        let mut demand = demand;
        let limit = around(&demand, 1500);
        demand.overrides[pool] = Some(pin);
        if let Err(Refusal::Infeasible(shortfall)) = derive(limit, &demand) {
            prop_assert!(derive(shortfall.smallest_limit, &demand).is_ok());
            demand.overrides[pool] = shortfall.largest_legal;
            prop_assert!(derive(limit, &demand).is_ok());
        }
    }

    #[test]
    fn quantities_come_back_as_they_went_out(bytes in any::<u64>()) {
        prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        let approximate: Bytes = Bytes(bytes).approximate().parse().expect("a quantity");
        prop_assert!(approximate.0 <= bytes + 1, "rounded up: {approximate}");
    }
}
