//! `upsert`: changes one document, and may leave it in the context as it is then.
//! Layer: core

use std::{sync::Arc, time::Instant};

use super::{condition::Guarded, operand::Operand, target::Target};
use crate::{
    event::Event,
    sinks::{Action, Change, Guard, Operator, Reply, UpsertReply},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Upsert {
    pub(super) target: Target,
    pub(super) collection: Arc<str>,
    pub(super) id: Operand,
    pub(super) changes: Vec<Guarded<Template>>,
    pub(super) guard: Guard,
    /// Context field that receives the document.
    pub(super) returning: Option<Arc<str>>,
    pub(super) needs: Needs,
}

/// A change whose operand is still an expression.
pub(super) struct Template {
    pub(super) field: Arc<str>,
    pub(super) operator: Operator,
    /// `None` exactly with [`Operator::Unset`].
    pub(super) value: Option<Operand>,
}

impl Template {
    fn fill(&self, event: &Event) -> Result<Change, StageError> {
        let value = match (&self.value, self.operator) {
            (None, _) => serde_json::Value::Null,
            (Some(operand), Operator::Inc) => operand.integer(event)?.into(),
            (Some(operand), _) => operand.json(event)?,
        };
        Ok(Change { field: Arc::clone(&self.field), operator: self.operator, value })
    }
}

impl Upsert {
    /// `None` when every change is left out and nobody waits for the document.
    fn action(&self, event: &Event) -> Result<Option<Action>, StageError> {
        let id = self.id.id(event)?;
        let changes = Guarded::select(&self.changes, event, Template::fill)?;
        if changes.is_empty() && self.returning.is_none() {
            return Ok(None);
        }
        let reply =
            if self.returning.is_some() { UpsertReply::Document } else { UpsertReply::Nothing };
        let (collection, guard) = (Arc::clone(&self.collection), self.guard);
        Ok(Some(Action::Upsert { collection, id, changes, guard, reply }))
    }

    async fn change(&self, event: &mut Event, action: Action, deadline: Instant) -> StageResult {
        match (self.target.submit(event, action, deadline).await?, &self.returning) {
            (Reply::Document(document), Some(name)) => event.put_context(name, document)?,
            (Reply::Applied | Reply::Redelivered | Reply::Document(_), None) => {}
            (other, _) => return Err(self.target.unexpected(&other)),
        }
        Ok(Verdict::Continue)
    }
}

impl Stage for Upsert {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        match self.action(event) {
            Ok(Some(action)) => Step::pending(self.change(event, action, deadline)),
            Ok(None) => Step::next(),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
