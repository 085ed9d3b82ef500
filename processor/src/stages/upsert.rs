//! `upsert`: changes one document, and may leave it in the context as it is then.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use penstock_crds::pipeline::{self as object, UpsertStage};

use super::{condition::Guarded, operand::Operand, target::Target};
use crate::{
    event::Event,
    sinks::{Action, Change, Guard, Operator, Reply, UpsertReply},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Upsert {
    target: Target,
    collection: Arc<str>,
    id: Operand,
    changes: Vec<Guarded<Template>>,
    guard: Guard,
    /// Context field that receives the document.
    returning: Option<Arc<str>>,
    needs: Needs,
}

/// A change whose operand is still an expression.
struct Template {
    field: Arc<str>,
    operator: Operator,
    /// `None` exactly with [`Operator::Unset`].
    value: Option<Operand>,
}

impl Template {
    fn guarded(change: &object::Change) -> Guarded<Self> {
        let field = format!("changes.{}", change.field);
        let condition = |when| Operand::new(&format!("{field}.when"), when);
        Guarded {
            when: change.when.as_ref().map(condition),
            part: Self {
                field: change.field.shared(),
                operator: operator(change.operator),
                value: change
                    .value
                    .as_ref()
                    .map(|value| Operand::new(&field, value)),
            },
        }
    }

    fn fill(&self, event: &Event) -> Result<Change, StageError> {
        let value = match (&self.value, self.operator) {
            (None, _) => serde_json::Value::Null,
            (Some(operand), Operator::Inc) => operand.integer(event)?.into(),
            (Some(operand), _) => operand.json(event)?,
        };
        Ok(Change {
            field: Arc::clone(&self.field),
            operator: self.operator,
            value,
        })
    }
}

impl Upsert {
    pub(super) fn new(target: Target, body: &UpsertStage, needs: Needs) -> Self {
        Self {
            target,
            collection: body.collection.shared(),
            id: Operand::new("id", &body.id),
            changes: body.changes.iter().map(Template::guarded).collect(),
            guard: match body.guard {
                object::Guard::Offset => Guard::Offset,
                object::Guard::LastWriter => Guard::LastWriter,
            },
            returning: body.returning.as_ref().map(|field| field.shared()),
            needs,
        }
    }

    /// `None` when every change is left out and nobody waits for the document.
    fn action(&self, event: &Event) -> Result<Option<Action>, StageError> {
        let id = self.id.id(event)?;
        let changes = Guarded::select(&self.changes, event, Template::fill)?;
        if changes.is_empty() && self.returning.is_none() {
            return Ok(None);
        }
        let reply = if self.returning.is_some() {
            UpsertReply::Document
        } else {
            UpsertReply::Nothing
        };
        let (collection, guard) = (Arc::clone(&self.collection), self.guard);
        Ok(Some(Action::Upsert {
            collection,
            id,
            changes,
            guard,
            reply,
        }))
    }

    async fn change(&self, event: &mut Event, action: Action, deadline: Instant) -> StageResult {
        match (
            self.target.submit(event, action, deadline).await?,
            &self.returning,
        ) {
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

fn operator(operator: object::Operator) -> Operator {
    match operator {
        object::Operator::Set => Operator::Set,
        object::Operator::SetOnInsert => Operator::SetOnInsert,
        object::Operator::Inc => Operator::Inc,
        object::Operator::Min => Operator::Min,
        object::Operator::Max => Operator::Max,
        object::Operator::Push => Operator::Push,
        object::Operator::AddToSet => Operator::AddToSet,
        object::Operator::Unset => Operator::Unset,
    }
}
