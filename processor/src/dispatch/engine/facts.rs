//! What a partition tells about itself: numbers only, O(lanes).
//! Layer: core

use super::{Engine, Epoch, State};
use crate::dispatch::hot::HotKey;

/// Records of one lane by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneFacts {
    /// Keys that wait for a worker.
    pub ready: u32,
    /// Records that wait: for a worker, or behind another record of their key.
    pub queued: u32,
    /// Records a worker holds.
    pub running: u32,
    /// Records that wait for their retry time at the head of their key.
    pub parked: u32,
    /// Records that block their key until the epoch ends.
    pub blocked: u32,
}

/// State of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Where the assignment stands.
    pub state: State,
    /// The current epoch, or the last one.
    pub epoch: Epoch,
    /// Lane 0 is inline, the others are detached stages in their order.
    pub lanes: Vec<LaneFacts>,
    /// Unfinished records.
    pub records: u64,
    /// Charges of unfinished records, bytes.
    pub bytes: u64,
    /// Records of ended epochs that a worker still holds.
    pub stale_records: u64,
    /// Their charges, bytes.
    pub stale_bytes: u64,
    /// Records admitted and not covered by an acknowledged commit: what a crash repeats.
    pub window: u64,
    /// Next offset to commit.
    pub watermark: Option<i64>,
    /// Lowest offset that is not finished.
    pub oldest_open: Option<i64>,
    /// Last admitted offset.
    pub last_admitted: Option<i64>,
    /// The hottest key of the recent past.
    pub hottest: Option<HotKey>,
}

impl<T> Engine<T> {
    /// Records that a worker holds in this epoch.
    #[must_use]
    pub fn running(&self) -> usize {
        self.lanes.iter().map(|lane| lane.running as usize).sum()
    }

    /// Unfinished records of this epoch and their charges.
    #[must_use]
    pub fn ledger(&self) -> crate::dispatch::Ledger {
        self.held
    }

    /// Charges of unfinished records of this epoch, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.held.bytes()
    }

    /// Unfinished records of this epoch.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.held.records()
    }

    /// All facts; allocates the list of lanes.
    #[must_use]
    pub fn facts(&self) -> EngineFacts {
        EngineFacts {
            state: self.state,
            epoch: self.epoch,
            lanes: (0..self.lanes.len())
                .map(|lane| self.lane_facts(lane))
                .collect(),
            records: self.held.records(),
            bytes: self.held.bytes(),
            stale_records: self.stale.records(),
            stale_bytes: self.stale.bytes(),
            window: self.ring.window(),
            watermark: self.watermark(),
            oldest_open: self.ring.oldest_open(),
            last_admitted: self.ring.last(),
            hottest: self.hot.hottest(),
        }
    }

    fn lane_facts(&self, lane: usize) -> LaneFacts {
        let lane = &self.lanes[lane];
        LaneFacts {
            ready: super::narrow(lane.ready.len()),
            queued: lane.records - lane.running - lane.parked - lane.blocked,
            running: lane.running,
            parked: lane.parked,
            blocked: lane.blocked,
        }
    }
}
