//! `filter`: finishes an event early unless it is to be kept.
//! Layer: core

use std::time::Instant;

use penstock_crds::pipeline::FilterStage;

use super::operand::Operand;
use crate::{
    event::Event,
    stage::{Finish, Needs, Stage, Step, Verdict},
};

/// The stage.
pub(super) struct Filter {
    keep: Operand,
    needs: Needs,
}

impl Filter {
    pub(super) fn new(body: &FilterStage, needs: Needs) -> Self {
        Self {
            keep: Operand::new("keep", &body.keep),
            needs,
        }
    }
}

impl Stage for Filter {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        Step::Ready(self.keep.condition(event).map(|keep| match keep {
            true => Verdict::Continue,
            false => Verdict::Finish(Finish::Filtered),
        }))
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
