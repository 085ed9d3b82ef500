//! `count`: adds to the counters of one document.
//! Layer: shell

use std::{sync::Arc, time::Instant};

use penstock_crds::pipeline::{Amount, CountStage};

use super::{condition::Guarded, operand::Operand, target::Target};
use crate::{
    event::Event,
    sinks::{Action, Reply},
    stage::{Needs, Stage, StageError, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Count {
    target: Target,
    collection: Arc<str>,
    id: Operand,
    amounts: Vec<Guarded<Counter>>,
    needs: Needs,
}

/// A counter and what is added to it.
struct Counter {
    field: Arc<str>,
    amount: Operand,
}

impl Counter {
    fn guarded(amount: &Amount) -> Guarded<Self> {
        let field = format!("amounts.{}", amount.field);
        let condition = |when| Operand::new(&format!("{field}.when"), when);
        Guarded {
            when: amount.when.as_ref().map(condition),
            part: Self {
                field: amount.field.shared(),
                amount: Operand::new(&field, &amount.value),
            },
        }
    }

    fn evaluate(&self, event: &Event) -> Result<(Arc<str>, i64), StageError> {
        Ok((Arc::clone(&self.field), self.amount.integer(event)?))
    }
}

impl Count {
    pub(super) fn new(target: Target, body: &CountStage, needs: Needs) -> Self {
        Self {
            target,
            collection: body.collection.shared(),
            id: Operand::new("id", &body.id),
            amounts: body.amounts.iter().map(Counter::guarded).collect(),
            needs,
        }
    }

    /// `None` when every amount is left out.
    fn action(&self, event: &Event) -> Result<Option<Action>, StageError> {
        let id = self.id.id(event)?;
        let amounts = Guarded::select(&self.amounts, event, Counter::evaluate)?;
        let collection = Arc::clone(&self.collection);
        Ok((!amounts.is_empty()).then_some(Action::Count {
            collection,
            id,
            amounts,
        }))
    }

    async fn add(&self, event: &Event, action: Action, deadline: Instant) -> StageResult {
        match self.target.submit(event, action, deadline).await? {
            Reply::Applied | Reply::Redelivered => Ok(Verdict::Continue),
            other => Err(self.target.unexpected(&other)),
        }
    }
}

impl Stage for Count {
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a> {
        match self.action(event) {
            Ok(Some(action)) => Step::pending(self.add(event, action, deadline)),
            Ok(None) => Step::next(),
            Err(error) => Step::Ready(Err(error)),
        }
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
