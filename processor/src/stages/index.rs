//! `index`: stores the event's document once, by event id; a true duplicate finishes early.
//! Layer: shell

use std::time::Instant;

use penstock_crds::{index_pattern::IndexPattern, pipeline::IndexStage};

use super::{operand::Operand, target::Target};
use crate::{
    event::{Event, json::JsonKind},
    sinks::{Action, Reply},
    stage::{Finish, Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Index {
    target: Target,
    pattern: IndexPattern,
    id: Operand,
}

impl Index {
    pub(super) fn new(target: Target, body: &IndexStage) -> Self {
        let id = Operand::new("id", &body.id);
        Self {
            target,
            pattern: body.index.clone(),
            id,
        }
    }

    /// The document is the record's value as it was written, once it is known to be an object.
    fn action(&self, event: &Event) -> Result<Action, StageError> {
        let id = self.id.id(event)?;
        if !matches!(event.body()?.kind(), JsonKind::Object(_)) {
            let reason = "event: value is no JSON object, legal is one to store".to_owned();
            return Err(StageError::Record { reason });
        }
        let index = self.pattern.resolve(event.record().timestamp_ms());
        let document = event.record().value().unwrap_or_default().to_vec();
        Ok(Action::Create {
            index,
            id,
            document,
        })
    }

    async fn store(&self, event: &Event, action: Action, deadline: Instant) -> StageResult {
        // A replayed dead letter is the record that it was, not a duplicate of it.
        let identity = event.identity().into_owned();
        let reply = self.target.submit_as(identity, action, deadline);
        match reply.await? {
            Reply::Applied | Reply::Redelivered => Ok(Verdict::Continue),
            Reply::Duplicate => Ok(Verdict::Finish(Finish::Duplicate)),
            other => Err(self.target.unexpected(&other)),
        }
    }
}

impl Stage for Index {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        match self.action(event) {
            Ok(action) => Step::pending(self.store(event, action, deadline)),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        Needs::Body
    }
}
