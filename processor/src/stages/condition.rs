//! Parts of a stage that are left out unless their condition holds.
//! Layer: core

use super::operand::Operand;
use crate::{event::Event, stage::StageError};

/// A part and its condition.
pub(super) struct Guarded<T> {
    pub(super) when: Option<Operand>,
    pub(super) part: T,
}

impl<T> Guarded<T> {
    /// Evaluates the parts whose condition holds, in the order written.
    pub(super) fn select<R>(
        parts: &[Self],
        event: &Event,
        evaluate: impl Fn(&T, &Event) -> Result<R, StageError>,
    ) -> Result<Vec<R>, StageError> {
        let mut selected = Vec::with_capacity(parts.len());
        for Self { when, part } in parts {
            if when
                .as_ref()
                .map_or(Ok(true), |when| when.condition(event))?
            {
                selected.push(evaluate(part, event)?);
            }
        }
        Ok(selected)
    }
}
