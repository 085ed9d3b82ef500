//! One partition behind its lock.
//! Layer: shell

use parking_lot::{Mutex, MutexGuard};

use crate::{
    dispatch::engine::{Engine, EngineFacts},
    record::TopicPartition,
};

/// A partition that is assigned, or of which a worker still holds a record.
pub(super) struct Partition<T> {
    id: TopicPartition,
    inner: Mutex<Inner<T>>,
}

/// What the lock protects.
pub(super) struct Inner<T> {
    pub(super) engine: Engine<T>,
    /// One bit per lane that is on a ready list, so that it is there at most once.
    listed: u32,
}

/// State of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// Which.
    pub partition: TopicPartition,
    /// Its engine.
    pub engine: EngineFacts,
}

impl<T> Partition<T> {
    pub(super) fn new(id: TopicPartition, engine: Engine<T>) -> Self {
        Self {
            id,
            inner: Mutex::new(Inner { engine, listed: 0 }),
        }
    }

    pub(super) fn id(&self) -> TopicPartition {
        self.id
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock()
    }

    pub(super) fn facts(&self) -> PartitionFacts {
        PartitionFacts {
            partition: self.id,
            engine: self.lock().engine.facts(),
        }
    }
}

impl<T> Inner<T> {
    /// Whether the lane has work and is not listed; notes that it will be.
    pub(super) fn must_list(&mut self, lane: u8) -> bool {
        let must = self.listed & (1 << lane) == 0 && self.engine.may_take(lane);
        self.listed |= u32::from(must) << lane;
        must
    }

    /// The lane was taken off its ready list.
    pub(super) fn unlisted(&mut self, lane: u8) {
        self.listed &= !(1 << lane);
    }
}
