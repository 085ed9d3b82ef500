//! Judges `spec.stages` as a list: names, order, and what later stages read of earlier ones.
//! Layer: core

use std::collections::BTreeSet;

use serde_json::Value;

use super::{piece, sinks::Declared, stage};
use crate::{
    event_pipeline::StageSpec,
    expression::Expression,
    fault::Collector,
    pipeline::{KeySource, Mode, Ordering, Stage},
};

/// What the rules of a stage look at outside of it.
pub(super) struct Surroundings<'a> {
    pub(super) sinks: &'a Declared,
    pub(super) topics: &'a BTreeSet<String>,
    /// `None` when the source's own fault hides it.
    pub(super) key: Option<&'a KeySource>,
    pub(super) ordering: Ordering,
}

/// The context fields that the stages so far may have written.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    fields: BTreeSet<String>,
    /// A stage stood before that may have written anything.
    open: bool,
}

impl Written {
    /// Notes a field that is there from now on.
    pub(super) fn add(&mut self, field: &str) {
        self.fields.insert(field.to_owned());
    }

    /// From now on any field may be there.
    pub(super) fn open(&mut self) {
        self.open = true;
    }

    /// Every context field that the expression names must have a stage that writes it.
    pub(super) fn check(&self, path: &str, expression: &Expression, faults: &mut Collector) {
        if self.open {
            return;
        }
        for field in expression
            .context_fields()
            .filter(|field| !self.fields.contains(*field))
        {
            let known = self
                .fields
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let legal = if known.is_empty() {
                "none is set before it"
            } else {
                &known
            };
            let message = format!("context.{field} is set by no earlier stage: {legal}");
            faults.add(path, message);
        }
    }
}

pub(super) fn check(
    stages: Option<&Value>,
    surroundings: &Surroundings<'_>,
    faults: &mut Collector,
) -> Option<Vec<Stage>> {
    let mut checked: Vec<Stage> = Vec::new();
    let mut written = Written::default();
    let mut complete = true;
    for (at, tree) in stages
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let path = format!("spec.stages[{at}]");
        let bench = &mut stage::Bench {
            path: &path,
            surroundings,
            written: &mut written,
            faults,
        };
        let stage = piece::<StageSpec>(Some(tree)).and_then(|own| stage::check(own, bench));
        let Some(stage) = stage else {
            // Its fault may hide what it would have written.
            written.open();
            complete = false;
            continue;
        };
        if checked.iter().any(|other| other.name == stage.name) {
            let message = format!("a stage named {} is already there", stage.name);
            faults.add(format!("{path}.name"), message);
        }
        let detached = checked.iter().find(|other| other.mode == Mode::Detached);
        if let Some(before) = detached.filter(|_| stage.mode == Mode::Inline) {
            let message = format!(
                "Inline behind the Detached stage {}: move it before, or make it Detached",
                before.name
            );
            faults.add(format!("{path}.mode"), message);
        }
        checked.push(stage);
    }
    (complete && stages.is_some()).then_some(checked)
}
