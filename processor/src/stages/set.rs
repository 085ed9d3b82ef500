//! `set`: leaves values in the context, where later stages and expressions read them.
//! Layer: core

use std::{sync::Arc, time::Instant};

use super::operand::Operand;
use crate::{
    event::Event,
    stage::{Needs, Stage, StageResult, Step, Verdict},
};

/// The stage.
pub(super) struct Set {
    /// In the order written; a later one sees the earlier ones.
    pub(super) fields: Vec<(Arc<str>, Operand)>,
    pub(super) needs: Needs,
}

impl Set {
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
