//! The plan: the ledger of one limit and every size that follows from it.
//! Layer: core

use crate::{
    bytes::Bytes,
    client::{ClientSettings, PurgeDecay},
    demand::Demand,
    dispatch::{self, DispatchPlan},
    ledger::{self, Ledger},
    pool::{PerPool, Pool},
    sinks::{self, SinkPlan},
};

/// Every size of a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// L: what the plan was made for.
    pub limit: Bytes,
    /// S.
    pub safety: Bytes,
    /// F.
    pub fixed: Bytes,
    /// K, D, X, Z, C in bytes that the code may hold. X is the budget of the semaphore over
    /// estimated parsed sizes.
    pub pools: PerPool<Bytes>,
    /// What each pool would keep at the smallest limit.
    pub minimums: PerPool<Bytes>,
    /// Pools that an override pinned.
    pub pinned: PerPool<Option<Bytes>>,
    /// (η − 1) of all pools: what the allocator holds beside them.
    pub slack: Bytes,
    /// Left over because every pool is at its cap, or by rounding. Safe to return.
    pub spare: Bytes,
    /// Settings of the consumer.
    pub client: ClientSettings,
    /// Budgets of the dispatcher.
    pub dispatch: DispatchPlan,
    /// In the order of the demand.
    pub sinks: Vec<SinkPlan>,
    /// In the order of the demand.
    pub caches: Vec<CachePlan>,
    /// Workers, threads and allocator.
    pub runtime: RuntimePlan,
}

/// Size of one cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePlan {
    /// Name of the stage.
    pub name: String,
    /// Resident bytes, allocated at once: growth by doubling would need the old and the new.
    pub bytes: Bytes,
    /// Entries that these bytes hold.
    pub entries: u64,
}

/// Numbers of workers and threads, and settings of the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimePlan {
    /// Tasks that run inline stages. Memory does not limit them: the active pool does.
    pub workers: u32,
    /// Records of one partition that may run at a time.
    pub workers_per_partition: u32,
    /// Tasks that run detached stages, which wait for IO: by bytes, not by cores.
    pub detached_workers: u32,
    /// Threads of the async runtime.
    pub threads: u32,
    /// Threads for blocking calls.
    pub blocking_threads: u32,
    /// `narenas`: from this pod's cores, never from the host's.
    pub arenas: u32,
    /// `dirty_decay_ms`.
    pub purge_decay: PurgeDecay,
}

impl Plan {
    /// J: bytes of one chunk of bulk work (merge, backfill) that keeps `copies` of it alive,
    /// borrowed from dispatcher and caches for its duration and never added to them.
    #[must_use]
    pub fn bulk_chunk(&self, copies: u64) -> Bytes {
        let free = |pool| self.pools[pool].saturating_sub(self.minimums[pool]).0;
        let borrowed = free(Pool::Dispatcher).saturating_add(free(Pool::Caches));
        Bytes(borrowed / copies.max(1))
    }

    /// F + η · `held`: resident bytes that the ledger explains when its pools hold so much.
    #[must_use]
    pub fn explained(&self, held: Bytes) -> Bytes {
        Bytes(self.fixed.0.saturating_add(ledger::resident(held).0))
    }

    /// Resident bytes of the whole plan in use.
    #[must_use]
    pub fn peak(&self) -> Bytes {
        Bytes(self.limit.0 - self.safety.0 - self.spare.0)
    }
}

/// Derives what follows from the shares; nothing here can fail any more.
pub(crate) fn build(limit: Bytes, demand: &Demand, ledger: &Ledger, pools: PerPool<Bytes>) -> Plan {
    let allocated = ledger::total(&pools).expect("the shares were taken from a limit");
    let safety = ledger::safety(limit);
    let resident = ledger::resident(allocated);
    Plan {
        limit,
        safety,
        fixed: ledger.fixed,
        pools,
        minimums: ledger.minimums,
        pinned: ledger.pinned,
        slack: resident.saturating_sub(allocated),
        spare: Bytes(limit.0 - safety.0 - ledger.fixed.0 - resident.0),
        client: ledger.client.settings(pools[Pool::Kafka]),
        dispatch: dispatch::plan(demand, pools[Pool::Dispatcher]),
        sinks: sinks::plan(demand, pools[Pool::Sinks]),
        caches: caches(demand, pools[Pool::Caches]),
        runtime: runtime(demand, pools[Pool::Active]),
    }
}

/// Equal shares: every cache sees the same records.
fn caches(demand: &Demand, pool: Bytes) -> Vec<CachePlan> {
    let bytes = Bytes(pool.0 / (demand.caches.len() as u64).max(1));
    let one = |cache: &crate::CacheDemand| CachePlan {
        name: cache.name.clone(),
        bytes,
        entries: bytes.0 / cache.kind.entry_bytes(),
    };
    demand.caches.iter().map(one).collect()
}

/// Workers: 8 a partition, as many typical events as fit parsed, 64 a core.
fn runtime(demand: &Demand, active: Bytes) -> RuntimePlan {
    const PER_PARTITION: u64 = 8;
    const PER_CORE: u64 = 64;
    const DETACHED_CAP: u64 = 1024;
    let (partitions, cores) = (u64::from(demand.partitions), u64::from(demand.cores));
    let parsed = active.0 / demand.typical_parsed().0;
    let derived = parsed
        .min(PER_PARTITION * partitions)
        .min(PER_CORE * cores)
        .max(1);
    let workers = demand.workers.map_or(derived, u64::from);
    let small = |count: u64| u32::try_from(count).expect("every count was capped");
    RuntimePlan {
        workers: small(workers),
        workers_per_partition: small(workers.div_ceil(partitions).max(PER_PARTITION.min(workers))),
        detached_workers: small(parsed.clamp(1, DETACHED_CAP)),
        threads: demand.cores,
        blocking_threads: demand.cores.min(4),
        arenas: demand.cores.saturating_mul(2).min(4),
        purge_decay: demand.purge_decay,
    }
}
