//! `filter`: finishes an event early unless it is to be kept.
//! Layer: core

use std::time::Instant;

use super::operand::Operand;
use crate::{
    event::Event,
    stage::{Finish, Needs, Stage, Step, Verdict},
};

/// The stage.
pub(super) struct Filter {
    pub(super) keep: Operand,
    pub(super) needs: Needs,
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
