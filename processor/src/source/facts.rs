//! What the source tells about itself, for status and metrics.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;

use super::{
    intake::{Epoch, Held},
    settings::ClientLimits,
};
use crate::record::{Position, TopicPartition};

/// How the source is doing as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No assignment yet.
    #[default]
    Joining,
    /// Partitions are assigned, or the group has none to give.
    Running,
    /// The process is on its way out.
    Stopping,
    /// The client is closed.
    Closed,
}

/// A partition's gear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gear {
    /// Its records are taken.
    Open,
    /// Its record is the one that everything waits for.
    Held(Held),
    /// It alone is paused.
    Paused,
    /// A revoke of it waits for running records.
    Draining,
}

/// One assigned partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// Which.
    pub partition: TopicPartition,
    /// This assignment of it.
    pub epoch: Epoch,
    /// Its gear, with the reason.
    pub gear: Gear,
    /// First offset that was not admitted.
    pub position: Option<i64>,
    /// End of its log, as of the last fetch.
    pub end: Option<i64>,
}

impl PartitionFacts {
    /// Records between position and end; `None` until both are known.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        let lag = self.end?.saturating_sub(self.position?);
        Some(u64::try_from(lag).unwrap_or(0))
    }
}

/// Things that should not happen, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Records on the event queue; they were read again from the right one.
    pub on_main_queue: u64,
    /// Records of partitions that are not ours; dropped.
    pub unowned: u64,
    /// Records not above the one before them; dropped and read again.
    pub backwards: u64,
    /// Messages that the client could not read, such as broken batches.
    pub unreadable: u64,
    /// Partitions that had lag and gave no record; forwarded again.
    pub silent: u64,
    /// Calls that the client refused: forward, pause, seek, resume.
    pub refused: u64,
    /// Errors that clients and brokers reported.
    pub client: u64,
    /// Refused commits; their watermarks were or will be sent again.
    pub commits: u64,
    /// Clients given up because of a fatal error and built anew.
    pub rebuilds: u64,
}

/// A message that the client could not read, such as a batch that decompresses to too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it is.
    pub position: Position,
    /// What the client says.
    pub code: RDKafkaErrorCode,
    /// When it was met last.
    pub seen: Instant,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// How the source is doing as a whole.
    pub phase: Phase,
    /// Assigned partitions, in order.
    pub partitions: Vec<PartitionFacts>,
    /// Second gear since the start.
    pub pauses: u64,
    /// Assignments and revocations since the start.
    pub rebalances: u64,
    /// Faults since the start.
    pub faults: Faults,
    /// Where the client last found a message that it could not read.
    pub unreadable: Option<Unreadable>,
    /// What the running client was built with.
    pub limits: ClientLimits,
    /// What clients and brokers complain about now.
    pub trouble: Option<Arc<str>>,
    /// When the broker last acknowledged a commit.
    pub last_commit: Option<Instant>,
    /// When the record loop last turned: its watchdog looks at the age.
    pub last_turn: Instant,
}

/// Shared between the source thread, which writes, and whoever reads.
#[derive(Clone)]
pub(super) struct FactsCell(Arc<Mutex<SourceFacts>>);

impl FactsCell {
    pub(super) fn new(now: Instant, limits: ClientLimits) -> Self {
        Self(Arc::new(Mutex::new(SourceFacts {
            phase: Phase::default(),
            partitions: Vec::new(),
            pauses: 0,
            rebalances: 0,
            faults: Faults::default(),
            unreadable: None,
            limits,
            trouble: None,
            last_commit: None,
            last_turn: now,
        })))
    }

    pub(super) fn read(&self) -> SourceFacts {
        self.0.lock().clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut SourceFacts)) {
        change(&mut self.0.lock());
    }
}
