//! Z: what the sinks hold; one batch size for all of them that work with every record.
//! Layer: core

use crate::{
    bytes::Bytes,
    demand::{Demand, SinkDemand, SinkKind},
};

/// Sizes of one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPlan {
    /// As in `sinks`.
    pub name: String,
    /// Effects that may be collected before they are sent. For a producer this is
    /// `queue.buffering.max.kbytes` times 1024.
    pub batch: Bytes,
    /// Everything the sink may hold: batch, copies, page cache or client.
    pub total: Bytes,
    /// Page cache of the embedded sink; zero for the others.
    pub page_cache: Bytes,
}

impl SinkPlan {
    /// Bytes that the sink holds while so many thousandths of its queue are taken. A page cache is
    /// held once it was filled, whatever waits.
    #[must_use]
    pub fn held(&self, taken_permille: u64) -> Bytes {
        let queue = self.total.saturating_sub(self.page_cache);
        let taken = queue.scaled_down(taken_permille.min(1000), 1000);
        Bytes(self.page_cache.0 + taken.0)
    }
}

/// Bulk guidance is 5 to 15 MB; larger requests only wait longer.
const BATCH_CAP: Bytes = Bytes::mib(15);
const BATCH_FLOOR: Bytes = Bytes::kib(256);
/// SQLite's own default.
const PAGE_CACHE_FLOOR: Bytes = Bytes::mib(2);

/// Of a producer's batch: its queue and 1.5 times it for elements, keys and compressed copies.
const PRODUCER_PER_MILLE: u64 = 1000 + 1500;

/// A sink of batch size `b` holds `fixed + b · per_mille / 1000`.
#[derive(Clone, Copy, Debug)]
struct Cost {
    fixed: Bytes,
    per_mille: u64,
}

fn cost(demand: &Demand, sink: &SinkDemand) -> Cost {
    let in_flight = u64::from(sink.in_flight);
    match sink.kind {
        // Body, items and answer.
        SinkKind::Elasticsearch => Cost {
            fixed: Bytes::ZERO,
            per_mille: 1000 + 2200 * in_flight,
        },
        SinkKind::Mongodb | SinkKind::Http => Cost {
            fixed: Bytes::ZERO,
            per_mille: 1000 + 2000 * in_flight,
        },
        SinkKind::Redis => Cost {
            fixed: Bytes::ZERO,
            per_mille: 1000 + 1500 * in_flight,
        },
        // Writer queue, bound parameters and replies of one transaction; page cache as large as
        // the batch above its floor.
        SinkKind::Embedded => Cost {
            fixed: PAGE_CACHE_FLOOR,
            per_mille: 1000 + 1500 + 1000,
        },
        // The queue counts values; element and key 0.4 at 1 KiB, compressed copies 1.1. 1 MiB is
        // the second client itself.
        SinkKind::Producer => Cost {
            fixed: Bytes::MIB,
            per_mille: PRODUCER_PER_MILLE,
        },
        // Letters are few: more than the smallest batch would lie idle.
        SinkKind::Letters => Cost {
            fixed: Bytes(
                Bytes::MIB.0 + smallest_batch(demand).scaled_up(PRODUCER_PER_MILLE, 1000).0,
            ),
            per_mille: 0,
        },
    }
}

fn total(demand: &Demand, sink: &SinkDemand, batch: Bytes) -> Bytes {
    let cost = cost(demand, sink);
    let copies = u128::from(batch.scaled_down(cost.per_mille, 1000).0);
    Bytes::from_wide(u128::from(cost.fixed.0) + copies)
}

/// A batch holds the largest message and a tenth for its envelope.
fn smallest_batch(demand: &Demand) -> Bytes {
    demand.largest_message.scaled_up(11, 10).max(BATCH_FLOOR)
}

fn pool(demand: &Demand, batch: Bytes) -> Bytes {
    Bytes::from_wide(
        demand
            .sinks
            .iter()
            .map(|sink| u128::from(total(demand, sink, batch).0))
            .sum(),
    )
}

/// Z₀: every sink with the smallest batch.
pub(crate) fn minimum(demand: &Demand) -> Bytes {
    pool(demand, smallest_batch(demand))
}

/// The most the sinks can use.
pub(crate) fn ceiling(demand: &Demand) -> Bytes {
    pool(demand, smallest_batch(demand).max(BATCH_CAP))
}

/// Sizes for a pool of at least [`minimum`].
pub(crate) fn plan(demand: &Demand, sinks: Bytes) -> Vec<SinkPlan> {
    let costs = || demand.sinks.iter().map(|sink| cost(demand, sink));
    let fixed: u64 = costs().map(|cost| cost.fixed.0).sum();
    let per_mille: u64 = costs().map(|cost| cost.per_mille).sum();
    let share = Bytes(sinks.0.saturating_sub(fixed)).scaled_down(1000, per_mille.max(1));
    // Rounding may cost a byte of the smallest batch, never of what the pool holds.
    let batch = share.max(smallest_batch(demand));
    let one = |sink: &SinkDemand| SinkPlan {
        name: sink.name.clone(),
        batch: match sink.kind {
            SinkKind::Letters => smallest_batch(demand),
            _ => batch,
        },
        total: total(demand, sink, batch),
        page_cache: match sink.kind {
            SinkKind::Embedded => Bytes(PAGE_CACHE_FLOOR.0 + batch.0),
            _ => Bytes::ZERO,
        },
    };
    demand.sinks.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: SinkKind, pool: Bytes) -> SinkPlan {
        let demand = Demand {
            sinks: vec![SinkDemand {
                name: "s".to_owned(),
                kind,
                in_flight: 1,
            }],
            ..Demand::default()
        };
        plan(&demand, pool.max(minimum(&demand))).remove(0)
    }

    #[test]
    fn a_sink_holds_its_page_cache_and_what_waits() {
        let embedded = one(SinkKind::Embedded, Bytes::mib(30));
        assert_eq!(embedded.held(0), embedded.page_cache);
        assert_eq!(embedded.held(1000), embedded.total);
        assert_eq!(embedded.held(2000), embedded.total);
        assert_eq!(one(SinkKind::Redis, Bytes::mib(30)).held(0), Bytes::ZERO);
    }

    #[test]
    fn letters_take_the_smallest_batch_of_any_pool() {
        let small = one(SinkKind::Letters, Bytes::ZERO);
        assert_eq!(one(SinkKind::Letters, Bytes::mib(30)), small);
        assert_eq!(small, one(SinkKind::Producer, Bytes::ZERO));
    }
}
