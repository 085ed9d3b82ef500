//! `set`: leaves values in the context, where later stages and expressions read them.
//! Layer: core

use std::{sync::Arc, time::Instant};

use penstock_crds::pipeline::SetStage;

use super::operand::Operand;
use crate::{
    event::Event,
    stage::{Needs, Stage, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Set {
    /// In the order written; a later one sees the earlier ones.
    fields: Vec<(Arc<str>, Operand)>,
    needs: Needs,
}

impl Set {
    pub(super) fn new(body: &SetStage, needs: Needs) -> Self {
        let fields = body.fields.iter().map(|field| {
            let operand = Operand::new(&format!("fields.{}", field.name), &field.value);
            (field.name.shared(), operand)
        });
        Self {
            fields: fields.collect(),
            needs,
        }
    }

    fn fill(&self, event: &mut Event) -> StageResult {
        for (name, operand) in &self.fields {
            let value = operand.json(event)?;
            event.put_context(name, value)?;
        }
        Ok(Verdict::Continue)
    }
}

impl Stage for Set {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        Step::Ready(self.fill(event))
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
