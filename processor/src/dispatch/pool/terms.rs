//! What is handed to the pod's dispatcher and what it answers.
//! Layer: core

use super::ready::PoolId;
use crate::dispatch::{
    engine::{Full, Limits},
    key::Key,
};

/// Which pool of workers serves which lane; lane 0 holds the inline stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes(pub(super) Vec<PoolId>);

/// Lanes fit into the bits of a `u32`.
const MOST_LANES: usize = 32;

impl Lanes {
    /// The inline lane in pool 0 and one lane per detached stage, all of them in pool 1.
    ///
    /// # Panics
    /// When there are more than 31 detached stages, which validation of the object rules out.
    #[must_use]
    pub fn with_detached(stages: usize) -> Self {
        assert!(
            stages < MOST_LANES,
            "validation bounds the number of stages"
        );
        Self(
            (0..=stages)
                .map(|lane| PoolId(u8::from(lane > 0)))
                .collect(),
        )
    }

    /// As [`Lanes::with_detached`], with a pool for each detached stage, so that a slow one takes
    /// no worker from another: stage `n` (from 1) is served by pool `n`.
    ///
    /// # Panics
    /// When there are more than 31 detached stages.
    #[must_use]
    pub fn isolated(stages: usize) -> Self {
        assert!(
            stages < MOST_LANES,
            "validation bounds the number of stages"
        );
        Self((0..).take(stages + 1).map(PoolId).collect())
    }

    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.0.len()).expect("at most 32 lanes")
    }

    pub(super) fn pools(&self) -> usize {
        self.0
            .iter()
            .map(|pool| usize::from(pool.0))
            .max()
            .unwrap_or(0)
            + 1
    }
}

/// What the pod and each of its partitions may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Charges of all unfinished records of the pod, bytes.
    pub pod_bytes: u64,
    /// Limits of each partition.
    pub partition: Limits,
}

/// A record asking to be admitted.
#[derive(Debug)]
pub struct Admission<T> {
    /// Its offset.
    pub offset: i64,
    /// The queue it joins.
    pub key: Key,
    /// Its true cost, bytes.
    pub charge: u64,
    /// The record.
    pub payload: T,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Records admitted, from the front of the batch.
    pub records: usize,
    /// Why the rest was not; `None` when all were.
    pub stopped: Option<Full>,
}

/// Who closed the gate; each opens only what it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The object says `Paused`.
    Operator = 1,
    /// The governor is short of memory.
    Memory = 2,
    /// The process is ending.
    Shutdown = 4,
}

/// What a partition uses of its budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Unfinished records.
    pub records: u64,
    /// Their charges, bytes.
    pub bytes: u64,
    /// Records that a crash would repeat.
    pub window: u64,
}

/// The whole pod in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Charges held, bytes, records of ended epochs included.
    pub bytes: u64,
    /// Records held, likewise.
    pub records: u64,
    /// Budget for `bytes`.
    pub budget: u64,
    /// Bits of the closed [`Gate`]s; 0 when all are open.
    pub gates: u8,
}
