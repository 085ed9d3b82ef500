//! What must be true of every plan, as named predicates for tests here and checks elsewhere.
//! Layer: core

use crate::{client::Client, demand::Demand, plan::Plan, pool::Pool};

/// The lines of the ledger are the limit, exactly: nothing is forgotten and nothing exceeds it.
#[must_use]
pub fn parts_are_the_limit(plan: &Plan) -> bool {
    let parts: u128 = plan
        .explain()
        .iter()
        .map(|line| u128::from(line.bytes.0))
        .sum();
    parts == u128::from(plan.limit.0)
}

/// No pool is below its minimum.
#[must_use]
pub fn minimums_hold(plan: &Plan) -> bool {
    Pool::ALL
        .into_iter()
        .all(|pool| plan.pools[pool] >= plan.minimums[pool])
}

/// A pinned pool has its override, neither more nor less.
#[must_use]
pub fn overrides_are_exact(plan: &Plan) -> bool {
    Pool::ALL
        .into_iter()
        .all(|pool| plan.pinned[pool].is_none_or(|pin| plan.pools[pool] == pin))
}

/// The client settings, put back into the measured formula, stay within K.
#[must_use]
pub fn prefetch_fits(plan: &Plan, demand: &Demand) -> bool {
    Client::of(demand).needs(&plan.client) <= plan.pools[Pool::Kafka]
}

/// Record outside, rings and records inside stay within D; the largest record fits twice inside.
#[must_use]
pub fn dispatcher_fits(plan: &Plan, demand: &Demand) -> bool {
    let dispatch = &plan.dispatch;
    let sum = dispatch.bytes.0 + dispatch.outside.0 + dispatch.rings.0;
    let largest = crate::record_charge(demand.largest_message.0);
    sum <= plan.pools[Pool::Dispatcher].0
        && dispatch.outside.0 >= largest
        && dispatch.bytes.0 >= 2 * largest
        && dispatch.partition_bytes.0 >= largest
        && dispatch.window >= 1
        && dispatch.partition_records >= 1
}

/// The sinks stay within Z and every batch holds the largest message.
#[must_use]
pub fn sinks_fit(plan: &Plan, demand: &Demand) -> bool {
    plan.sinks.iter().map(|sink| sink.total.0).sum::<u64>() <= plan.pools[Pool::Sinks].0
        && plan
            .sinks
            .iter()
            .all(|sink| sink.batch >= demand.largest_message)
}

/// The caches stay within C.
#[must_use]
pub fn caches_fit(plan: &Plan) -> bool {
    plan.caches.iter().map(|cache| cache.bytes.0).sum::<u64>() <= plan.pools[Pool::Caches].0
}

/// The largest message can be parsed alone, and somebody is there to do it.
#[must_use]
pub fn work_goes_on(plan: &Plan, demand: &Demand) -> bool {
    plan.pools[Pool::Active].0 >= demand.largest_message.0
        && plan.runtime.workers >= 1
        && plan.runtime.workers_per_partition >= 1
        && plan.runtime.detached_workers >= 1
}

/// A larger limit takes nothing away from any pool.
#[must_use]
pub fn monotone(smaller: &Plan, larger: &Plan) -> bool {
    Pool::ALL
        .into_iter()
        .all(|pool| smaller.pools[pool] <= larger.pools[pool])
        && smaller.client.fetch_max_bytes <= larger.client.fetch_max_bytes
        && smaller.dispatch.window <= larger.dispatch.window
        && smaller.runtime.workers <= larger.runtime.workers
}

/// The first predicate about one plan that does not hold.
#[must_use]
pub fn broken(plan: &Plan, demand: &Demand) -> Option<&'static str> {
    let all = [
        ("parts_are_the_limit", parts_are_the_limit(plan)),
        ("minimums_hold", minimums_hold(plan)),
        ("overrides_are_exact", overrides_are_exact(plan)),
        ("prefetch_fits", prefetch_fits(plan, demand)),
        ("dispatcher_fits", dispatcher_fits(plan, demand)),
        ("sinks_fit", sinks_fit(plan, demand)),
        ("caches_fit", caches_fit(plan)),
        ("work_goes_on", work_goes_on(plan, demand)),
    ];
    all.into_iter()
        .find(|(_, holds)| !holds)
        .map(|(name, _)| name)
}
