//! The equation itself: what a demand needs at least, and how a limit is divided.
//! Layer: core

use crate::{
    bytes::Bytes,
    client::Client,
    demand::{Demand, SinkKind},
    dispatch,
    pool::{PerPool, Pool},
    refusal::Fault,
    sinks,
    split::{Taker, fill},
};

/// η in per mille: resident per allocated bytes with one allocator for Rust and C, few arenas and
/// decay of at most one second (measured: 73 MiB for 64).
const SLACK: u64 = 1200;

const KAFKA_CAP: Bytes = Bytes::mib(128);
const ACTIVE_CAP: Bytes = Bytes::mib(512);

/// A demand in the terms of the equation.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) fixed: Bytes,
    pub(crate) client: Client,
    pub(crate) minimums: PerPool<Bytes>,
    pub(crate) pinned: PerPool<Option<Bytes>>,
    ceilings: PerPool<Bytes>,
    weights: PerPool<u32>,
}

impl Ledger {
    pub(crate) fn of(demand: &Demand) -> Result<Self, Fault> {
        demand.check()?;
        let client = Client::of(demand);
        let minimums = PerPool::from_fn(|pool| match pool {
            Pool::Kafka => client.minimum(),
            Pool::Dispatcher => dispatch::minimum(demand),
            Pool::Active => demand.largest_parsed(),
            Pool::Sinks => sinks::minimum(demand),
            Pool::Caches => demand.smallest_caches(),
        });
        let ceilings = PerPool::from_fn(|pool| match pool {
            Pool::Kafka => KAFKA_CAP.max(minimums[pool]),
            Pool::Dispatcher => dispatch::ceiling(demand),
            Pool::Active => ACTIVE_CAP.max(minimums[pool]),
            Pool::Sinks => sinks::ceiling(demand),
            Pool::Caches if demand.caches.is_empty() => Bytes::ZERO,
            Pool::Caches => Bytes(u64::MAX),
        });
        check_overrides(demand, &minimums)?;
        let fixed = fixed(demand);
        let (pinned, weights) = (demand.overrides, demand.weights);
        Ok(Self {
            fixed,
            client,
            minimums,
            pinned,
            ceilings,
            weights,
        })
    }

    /// What every pool must have: its override, else its minimum.
    pub(crate) fn required(&self) -> PerPool<Bytes> {
        PerPool::from_fn(|pool| self.pinned[pool].unwrap_or(self.minimums[pool]))
    }

    /// Bytes of all pools together at that limit; `None` when safety and fixed exceed it.
    pub(crate) fn budget(&self, limit: Bytes) -> Option<Bytes> {
        let rest = limit.checked_sub(safety(limit))?.checked_sub(self.fixed)?;
        Some(rest.scaled_down(1000, SLACK))
    }

    /// The pools at that limit; `None` when what they require does not fit.
    pub(crate) fn share(&self, limit: Bytes) -> Option<PerPool<Bytes>> {
        let required = self.required();
        let rest = self.budget(limit)?.checked_sub(total(&required)?)?;
        let takers = PerPool::from_fn(|pool| Taker {
            weight: self.weights[pool].into(),
            room: match self.pinned[pool] {
                Some(_) => 0,
                None => self.ceilings[pool].saturating_sub(required[pool]).0,
            },
        });
        let shares = PerPool(fill(rest.0, takers.0));
        Some(PerPool::from_fn(|pool| {
            Bytes(required[pool].0 + shares[pool])
        }))
    }

    /// Whole MiB; the equation holds from there on because `limit − safety` never falls.
    pub(crate) fn smallest_limit(&self) -> Bytes {
        let (mut low, mut high) = (1, u64::MAX >> 20);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.share(Bytes::mib(middle)).is_some() {
                high = middle
            } else {
                low = middle + 1
            }
        }
        Bytes::mib(low)
    }
}

/// Bytes of all pools; `None` on overflow.
pub(crate) fn total(pools: &PerPool<Bytes>) -> Option<Bytes> {
    pools
        .0
        .iter()
        .try_fold(Bytes::ZERO, |sum, bytes| sum.checked_add(*bytes))
}

/// Resident bytes of that many allocated ones.
pub(crate) fn resident(allocated: Bytes) -> Bytes {
    allocated.scaled_up(SLACK, 1000)
}

/// S = clamp(0.15 L, 12 MiB, 512 MiB): a fully used plan peaks at 0.85 of the limit, below the
/// governor's 0.90.
pub(crate) fn safety(limit: Bytes) -> Bytes {
    limit
        .scaled_up(15, 100)
        .clamp(Bytes::mib(12), Bytes::mib(512))
}

/// F: binary and idle clients 24 MiB (measured 13, taken nearly twice), 64 KiB a thread, 0.5 MiB a
/// connection (TLS buffers and fixed socket buffers, which the kernel doubles), 8 KiB a partition.
fn fixed(demand: &Demand) -> Bytes {
    let (brokers, cores) = (u64::from(demand.leaders()), u64::from(demand.cores));
    let (mut threads, mut connections) = (cores + brokers + 14, brokers + 1);
    for sink in &demand.sinks {
        let (more_threads, more_connections) = match sink.kind {
            SinkKind::Elasticsearch | SinkKind::Mongodb | SinkKind::Http => (0, 4),
            SinkKind::Redis => (0, 2),
            SinkKind::Embedded => (1, 0),
            SinkKind::Producer | SinkKind::Letters => (brokers + 2, brokers + 1),
        };
        threads += more_threads;
        connections += more_connections;
    }
    let partitions = u64::from(demand.partitions);
    Bytes(Bytes::mib(24).0 + (threads << 16) + (connections << 19) + (partitions << 13))
}

/// An override below the minimum, or of a pool that nobody uses, is wrong at any limit.
fn check_overrides(demand: &Demand, minimums: &PerPool<Bytes>) -> Result<(), Fault> {
    for pool in Pool::ALL {
        let Some(bytes) = demand.overrides[pool] else {
            continue;
        };
        let minimum = minimums[pool];
        if minimum == Bytes::ZERO {
            let legal = format!("none, because nothing here uses {}", pool.name());
            return Err(Fault::new(pool.field(), bytes.to_string(), legal));
        }
        if bytes < minimum || bytes > OVERRIDE_CEILING {
            let legal = format!("{minimum} to {OVERRIDE_CEILING}");
            return Err(Fault::new(pool.field(), bytes.to_string(), legal));
        }
    }
    Ok(())
}

/// Far above any machine, far below overflow.
const OVERRIDE_CEILING: Bytes = Bytes::mib(1 << 30);
