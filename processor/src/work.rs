//! What the dispatcher holds for a record: the event and the assignment it came with.
//! Layer: core

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::{
    event::Event,
    failure::{Failure, dead_letter::Content},
    record::{Record, TopicPartition},
    sinks::Provenance,
    stage::StageError,
};

/// Stage name under which a record is refused before any stage sees it.
const SOURCE: &str = "source";

/// One assignment of a partition.
#[derive(Debug)]
pub struct Assignment {
    /// `source.generation`.
    pub generation: u64,
    /// Acknowledged commit: every offset below it is finished for good.
    floor: AtomicI64,
}

/// Where a few records that were admitted together come from. They share it with nobody else, its
/// topic neither: a reference count that every record of a partition touches would travel between
/// the cores with each of them.
#[derive(Debug)]
pub struct Origin {
    topic: Arc<str>,
    assignment: Arc<Assignment>,
}

impl Assignment {
    /// An assignment whose group has committed `floor`; -1 when it has not.
    #[must_use]
    pub fn new(generation: u64, floor: i64) -> Self {
        Self {
            generation,
            floor: AtomicI64::new(floor),
        }
    }

    /// The acknowledged commit; -1 before the first.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.floor.load(Ordering::Relaxed)
    }

    /// The broker has acknowledged a commit of `offset`.
    pub fn raise_floor(&self, offset: i64) {
        self.floor.fetch_max(offset, Ordering::Relaxed);
    }
}

impl Origin {
    /// For the next few records of a topic; copies its name.
    #[must_use]
    pub fn new(topic: &str, assignment: &Arc<Assignment>) -> Arc<Self> {
        Arc::new(Self {
            topic: Arc::from(topic),
            assignment: Arc::clone(assignment),
        })
    }
}

/// A record on its way. One pointer, because the dispatcher moves it about seven times.
pub struct Work(Box<Inner>);

struct Inner {
    event: Event,
    origin: Arc<Origin>,
    oversize: Option<Oversize>,
}

/// A record whose bytes were never copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversize {
    /// Size of value, key and headers in the log, bytes.
    pub bytes: u64,
    /// `source.maxMessageBytes`.
    pub limit: u64,
}

impl Work {
    /// A record as read.
    #[must_use]
    pub fn new(record: Record, origin: Arc<Origin>, oversize: Option<Oversize>) -> Self {
        let provenance = Provenance {
            generation: origin.assignment.generation,
            topic: Arc::clone(&origin.topic),
            position: record.position(),
            floor: origin.assignment.floor(),
        };
        Self(Box::new(Inner {
            event: Event::new(Arc::new(record), provenance),
            origin,
            oversize,
        }))
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.0.event
    }

    /// The event, for its stages.
    pub fn event_mut(&mut self) -> &mut Event {
        &mut self.0.event
    }

    /// Partition that the record came from.
    #[must_use]
    pub fn partition(&self) -> TopicPartition {
        self.0.event.record().position().partition
    }

    /// Passes the latest acknowledged commit to the sinks, which forget what lies below it.
    pub fn raise_floor(&mut self) {
        let Inner { event, origin, .. } = &mut *self.0;
        event.raise_floor(origin.assignment.floor());
    }

    /// Why no stage may see it.
    #[must_use]
    pub fn refusal(&self) -> Option<Failure> {
        let Oversize { bytes, limit } = self.0.oversize?;
        let reason = format!("record of {bytes} bytes, source.maxMessageBytes allows {limit}");
        Some(Failure {
            stage: Arc::from(SOURCE),
            error: StageError::Record { reason },
        })
    }

    /// What its dead letter can hold.
    #[must_use]
    pub fn letter_content(&self) -> Content {
        if self.0.oversize.is_some() {
            Content::Reference
        } else {
            Content::Whole
        }
    }
}
