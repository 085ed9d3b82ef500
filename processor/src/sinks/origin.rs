//! Who created a document: the provenance as it is stored in it, in the field `_penstock`.
//! Layer: core

use serde::{Deserialize, Serialize};

use super::{Effect, Provenance};

/// The field of a stored document that belongs to us.
pub(super) const FIELD: &str = "_penstock";

/// The record that created a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) generation: i64,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// For people; not compared, because an id is created once whichever stage does it.
    #[serde(default)]
    pub(super) stage: String,
}

impl Origin {
    /// The record behind an effect. Stores keep signed numbers; the object allows no generation
    /// that does not fit.
    pub(super) fn of(effect: &Effect) -> Self {
        let provenance = &effect.provenance;
        Self {
            generation: generation(provenance),
            topic: provenance.topic.to_string(),
            partition: provenance.position.partition.partition,
            offset: provenance.position.offset,
            stage: effect.stage.to_string(),
        }
    }

    /// Whether it is that very record.
    pub(super) fn is(&self, provenance: &Provenance) -> bool {
        self.generation == generation(provenance)
            && *self.topic == *provenance.topic
            && self.partition == provenance.position.partition.partition
            && self.offset == provenance.position.offset
    }
}

/// A generation as stores keep it.
pub(super) fn generation(provenance: &Provenance) -> i64 {
    i64::try_from(provenance.generation).unwrap_or(i64::MAX)
}
