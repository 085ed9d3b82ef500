//! The last failures that a person should see, bounded, without payload.
//! Layer: shell

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::{failure::Failure, status::Trouble, work::Work};

/// Failures kept.
const KEPT: usize = 16;

/// The last failures, newest last.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<VecDeque<Trouble>>);

impl Troubles {
    /// Notes a failure; the oldest goes.
    pub fn note(&self, work: &Work, failure: &Failure) {
        let provenance = work.event().provenance();
        let trouble = Trouble {
            topic: provenance.topic.to_string(),
            partition: provenance.position.partition.partition,
            offset: provenance.position.offset,
            reason: failure.to_string(),
        };
        let mut kept = self.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(trouble);
    }

    /// What is kept.
    #[must_use]
    pub fn list(&self) -> Vec<Trouble> {
        self.0.lock().iter().cloned().collect()
    }
}
