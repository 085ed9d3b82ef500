//! Who may use the pod's bytes: a fair share is always there, more while there is plenty.
//! Layer: core

use super::PodFacts;
use crate::dispatch::{
    engine::{EngineFacts, Full},
    invariants::Violation,
    ledger::Ledger,
};

/// The pod's budget and among how many partitions it is shared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) budget: u64,
    pub(super) partitions: u32,
}

impl Share {
    /// What keeps a record of the partition out of the pod. Above `budget / partitions` a partition
    /// borrows, but only from the first three quarters of the budget: the last quarter is kept for
    /// those below their share.
    pub(super) fn obstacle(self, pod: &Ledger, held: &Ledger, charge: u64) -> Option<Full> {
        let share = self.budget / u64::from(self.partitions.max(1));
        let over_share = held.records() > 0 && held.bytes().saturating_add(charge) > share;
        if over_share && !pod.fits(charge, self.budget / 4 * 3) {
            return Some(Full::Share);
        }
        (!pod.fits(charge, self.budget)).then_some(Full::Pod)
    }
}

/// The pod holds what its partitions hold, and nothing else.
pub(super) fn pod_is_the_sum(
    pod: &PodFacts,
    engines: impl Iterator<Item = EngineFacts>,
) -> Result<(), Violation> {
    let (mut bytes, mut records) = (0, 0);
    for facts in engines {
        bytes += facts.bytes + facts.stale_bytes;
        records += facts.records + facts.stale_records;
    }
    if (bytes, records) == (pod.bytes, pod.records) {
        return Ok(());
    }
    let detail = format!(
        "partitions hold {bytes} bytes in {records} records, the pod {} in {}",
        pod.bytes, pod.records
    );
    Err(Violation {
        invariant: "the pod holds what its partitions hold",
        detail,
    })
}
