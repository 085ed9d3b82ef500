//! A lane: the stages that an event passes in one visit, while its body is parsed at most once.
//! Layer: core

use std::{sync::Arc, time::Duration};

use crate::{stage::Stage, stages::operand::Operand};

/// Which lane; [`LaneId::INLINE`] first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub(super) u16);

impl LaneId {
    /// The lane of the inline stages.
    pub const INLINE: Self = Self(0);

    /// The lane at a place of the dispatcher.
    #[must_use]
    pub fn new(index: u8) -> Self {
        Self(u16::from(index))
    }

    /// As an index into queues that exist once for each lane.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Where a stage does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// In this thread, at once: no input or output, no allocation beyond its results.
    Local,
    /// Elsewhere, so that it may wait.
    Remote,
}

/// Stages in order.
#[derive(Default)]
pub struct Lane {
    entries: Vec<Entry>,
}

/// A stage in its place.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) when: Option<Operand>,
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) deadline: Duration,
    pub(crate) locality: Locality,
    /// Whether a CEL program of the stage reads the body.
    pub(crate) interprets: bool,
    /// Whom a passed deadline is blamed on.
    pub(crate) blame: Arc<str>,
}

impl Lane {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether a CEL program of any stage reads the body, which costs memory beyond the tape.
    pub(crate) fn interprets(&self) -> bool {
        self.entries.iter().any(|entry| entry.interprets)
    }

    /// Local when every stage is: such a lane is bound by cores, any other by what it waits for.
    #[must_use]
    pub fn locality(&self) -> Locality {
        let local = self
            .entries
            .iter()
            .all(|entry| entry.locality == Locality::Local);
        if local {
            Locality::Local
        } else {
            Locality::Remote
        }
    }

    /// Names of the stages in order.
    pub fn stages(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|entry| &entry.name)
    }
}

impl From<Entry> for Lane {
    fn from(entry: Entry) -> Self {
        Self {
            entries: vec![entry],
        }
    }
}
