//! The memory law: every size of a processor, derived from its memory limit.
//! Layer: core
//!
//! ```text
//! limit = S + F + η · ( K + D + X + Z + C + J )
//!
//! S safety        never assigned: model error, kernel memory
//! F fixed         binary, threads, connections, per-partition state
//! K kafka         what the client prefetches                          client.rs
//! D dispatcher    records queued, running, and one outside            dispatch.rs
//! X active        parsed events                                       demand.rs
//! Z sinks         batches and their copies, page cache, producer      sinks.rs
//! C caches        fingerprints of `unique` stages                     demand.rs
//! J bulk          one-off jobs: borrowed from D and C, never added    plan.rs
//! η allocator     1.2 allocated bytes per byte in use                 ledger.rs
//! ```
//!
//! Every part has a minimum that nobody else can take; the rest is shared by weight, with caps.
//! Integers only: a plan is the same on every machine. The README explains the numbers.

mod bytes;
mod charge;
mod client;
mod demand;
mod dispatch;
mod explain;
pub mod invariants;
mod ledger;
mod plan;
mod pool;
mod refusal;
mod sinks;
mod split;

pub use bytes::{Bytes, QuantityError};
pub use charge::{RECORD_OVERHEAD, record_charge, size_class};
pub use client::{ClientSettings, Codec, PurgeDecay};
pub use demand::{CacheDemand, CacheKind, Demand, Load, SinkDemand, SinkKind};
pub use dispatch::DispatchPlan;
pub use explain::Line;
pub use plan::{CachePlan, Plan, RuntimePlan};
pub use pool::{PerPool, Pool};
pub use refusal::{Fault, Refusal, Shortfall};
pub use sinks::SinkPlan;

use ledger::Ledger;

/// Derives every size from the memory limit of the pod.
///
/// # Errors
/// [`Refusal::Demand`] when a field of the demand is out of range at any limit;
/// [`Refusal::Infeasible`] when the minimums and the overrides do not fit this one.
pub fn derive(limit: Bytes, demand: &Demand) -> Result<Plan, Refusal> {
    let ledger = Ledger::of(demand)?;
    match ledger.share(limit) {
        Some(parts) => Ok(plan::build(limit, demand, &ledger, parts)),
        None => Err(refusal::shortfall(limit, demand, &ledger).into()),
    }
}

/// The smallest limit, in whole MiB, that [`derive()`] accepts for this demand.
///
/// # Errors
/// [`Refusal::Demand`] when no limit would do.
pub fn smallest_limit(demand: &Demand) -> Result<Bytes, Refusal> {
    Ok(Ledger::of(demand)?.smallest_limit())
}

/// The smallest limit, in whole MiB, whose plan grants every pool what `limit` grants it: what is
/// above it is spare.
///
/// # Errors
/// As [`derive()`].
pub fn same_plan(limit: Bytes, demand: &Demand) -> Result<Bytes, Refusal> {
    let pools = derive(limit, demand)?.pools;
    let ledger = Ledger::of(demand)?;
    let same = |mib: u64| ledger.share(Bytes::mib(mib)) == Some(pools);
    // Pools never shrink as the limit grows, so the limits with the same ones are neighbours.
    let (mut low, mut high) = (0, limit.0 >> 20);
    if !same(high) {
        return Ok(limit);
    }
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if same(middle) {
            high = middle
        } else {
            low = middle
        }
    }
    Ok(Bytes::mib(high))
}

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
