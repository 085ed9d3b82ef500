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

/// One assignment of a partition, shared by its records.
#[derive(Debug)]
pub struct Origin {
    /// Topic name.
    pub topic: Arc<str>,
    /// `source.generation`.
    pub generation: u64,
    /// Acknowledged commit: every offset below is finished for good.
    pub floor: AtomicI64,
}

/// A record on its way.
pub struct Work {
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
            generation: origin.generation,
            topic: Arc::clone(&origin.topic),
            position: record.position(),
            floor: origin.floor.load(Ordering::Relaxed),
        };
        Self {
            event: Event::new(Arc::new(record), provenance),
            origin,
            oversize,
        }
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event, for its stages.
    pub fn event_mut(&mut self) -> &mut Event {
        &mut self.event
    }

    /// Partition that the record came from.
    #[must_use]
    pub fn partition(&self) -> TopicPartition {
        self.event.record().position().partition
    }

    /// Passes the latest acknowledged commit to the sinks, which forget what lies below it.
    pub fn raise_floor(&mut self) {
        self.event
            .raise_floor(self.origin.floor.load(Ordering::Relaxed));
    }

    /// Why no stage may see it.
    #[must_use]
    pub fn refusal(&self) -> Option<Failure> {
        let Oversize { bytes, limit } = self.oversize?;
        let reason = format!("record of {bytes} bytes, source.maxMessageBytes allows {limit}");
        Some(Failure {
            stage: Arc::from(SOURCE),
            error: StageError::Record { reason },
        })
    }

    /// What its dead letter can hold.
    #[must_use]
    pub fn letter_content(&self) -> Content {
        if self.oversize.is_some() {
            Content::Reference
        } else {
            Content::Whole
        }
    }
}
