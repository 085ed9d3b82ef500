//! D: the record outside, the rings of the windows, and the bytes of records inside.
//! Layer: core

use crate::{bytes::Bytes, charge::record_charge, demand::Demand};

/// Budgets of the dispatcher; all of them hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchPlan {
    /// Charge of all records admitted and not finished.
    pub bytes: Bytes,
    /// Reserve of the one record per pod that waits outside, admitted or not.
    pub outside: Bytes,
    /// Rings of all windows.
    pub rings: Bytes,
    /// Records admitted and not finished, in the pod.
    pub records: u64,
    /// Share of `bytes` above which a partition is stopped before the others.
    pub partition_bytes: Bytes,
    /// Share of `records` above which a partition is stopped before the others.
    pub partition_records: u64,
    /// Records of a partition admitted and not yet covered by an acknowledged commit.
    pub window: u64,
}

/// A ring cell holds offset and state in 8 bytes; rings grow by powers of two, so twice that.
const RING_SLOT: u64 = 16;
/// Below this a commit would be due for every handful of records.
const WINDOW_FLOOR: u64 = 64;
/// Rings take at most one in this many bytes that the dispatcher has beyond its minimum.
const RING_SHARE: u64 = 8;
/// More records in flight than this only lengthen the repetition after a crash.
const RECORDS_CAP: u64 = 65_536;
const POOL_CAP: Bytes = Bytes::mib(256);

fn smallest_rings(demand: &Demand) -> u64 {
    rings(demand, WINDOW_FLOOR.min(demand.window.into()))
}

fn rings(demand: &Demand, window: u64) -> u64 {
    u64::from(demand.partitions) * RING_SLOT * window
}

/// D₀: the largest record three times (running, waiting, outside) and the smallest rings.
pub(crate) fn minimum(demand: &Demand) -> Bytes {
    Bytes(3 * record_charge(demand.largest_message.0) + smallest_rings(demand))
}

/// The most the dispatcher can use.
pub(crate) fn ceiling(demand: &Demand) -> Bytes {
    minimum(demand).max(POOL_CAP)
}

/// Budgets for a pool of at least [`minimum`].
pub(crate) fn plan(demand: &Demand, pool: Bytes) -> DispatchPlan {
    let extra = pool.saturating_sub(minimum(demand)).0;
    let wanted = rings(demand, demand.window.into());
    let rings = wanted.min(smallest_rings(demand) + extra / RING_SHARE);
    let largest = record_charge(demand.largest_message.0);
    let bytes = Bytes(pool.0.saturating_sub(largest + rings));
    let typical = record_charge(demand.typical_value.0.min(demand.largest_message.0));
    let useful = demand
        .load
        .map_or(RECORDS_CAP, |load| load.in_flight().min(RECORDS_CAP));
    let records = (bytes.0 / typical).min(useful);
    let partitions = u64::from(demand.partitions);
    let window = rings / (RING_SLOT * partitions);
    DispatchPlan {
        bytes,
        outside: Bytes(largest),
        rings: Bytes(rings),
        records,
        partition_bytes: bytes
            .scaled_down(4, partitions)
            .max(Bytes(largest))
            .min(bytes),
        partition_records: (4 * records / partitions).clamp(1, records).min(window),
        window,
    }
}
