//! An event: a record with its decoded body and the context that its stages share.
//! Layer: core

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{record::Record, sinks::Provenance};

/// What the stages see of a record.
pub struct Event {
    record: Arc<Record>,
    provenance: Provenance,
    context: Map<String, Value>,
}

impl Event {
    /// An event that no stage has seen.
    #[must_use]
    pub fn new(record: Arc<Record>, provenance: Provenance) -> Self {
        Self {
            record,
            provenance,
            context: Map::new(),
        }
    }

    /// The record as it was read.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Identity of the record for idempotent effects.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What earlier stages left for later ones.
    #[must_use]
    pub fn context(&self) -> &Map<String, Value> {
        &self.context
    }

    /// Leaves something for later stages.
    pub fn context_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.context
    }
}
