//! Where a stage's effects go: one sink, seen from one stage.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use crate::{
    event::Event,
    sinks::{Action, Effect, Provenance, Reply, Sink},
    stage::StageError,
};

/// A sink, the name it has in the object, and the stage that writes to it.
pub(super) struct Target {
    pub(super) stage: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) sink: Arc<dyn Sink>,
}

impl Target {
    /// Asks for one effect, with the record's provenance.
    pub(super) async fn submit(
        &self,
        event: &Event,
        action: Action,
        deadline: Instant,
    ) -> Result<Reply, StageError> {
        self.submit_as(event.provenance().clone(), action, deadline)
            .await
    }

    /// The same with another provenance than the record's own.
    pub(super) async fn submit_as(
        &self,
        provenance: Provenance,
        action: Action,
        deadline: Instant,
    ) -> Result<Reply, StageError> {
        let stage = Arc::clone(&self.stage);
        self.sink
            .submit(
                Effect {
                    stage,
                    provenance,
                    action,
                },
                deadline,
            )
            .await
            .map_err(|error| StageError::from_sink(&self.name, &error))
    }

    /// A reply that the action cannot have: the sink's fault, so the record waits.
    pub(super) fn unexpected(&self, reply: &Reply) -> StageError {
        let kind = match reply {
            Reply::Applied => "applied",
            Reply::Redelivered => "redelivered",
            Reply::Duplicate => "duplicate",
            Reply::Document(_) => "a document",
            Reply::Member { .. } => "a membership",
        };
        let reason = format!("answered {kind}, which is no answer to this kind of effect");
        StageError::Sink {
            sink: Arc::clone(&self.name),
            reason,
        }
    }
}
