//! The ways into the validated pipeline.
//! Layer: core

use serde::Deserialize;

use crate::{
    document::Document,
    event_pipeline::EventPipeline,
    fault::{Collector, Faults},
    pipeline::ValidatedPipeline,
    validate as rules,
};

/// An object read from text, in both forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// As it is written.
    pub object: EventPipeline,
    /// As it is meant.
    pub pipeline: ValidatedPipeline,
}

/// Reads one object from YAML or JSON and validates it.
///
/// # Errors
/// Every fault in the text, each with the path and line of its field.
pub fn parse(text: &str) -> Result<Parsed, Faults> {
    let mut faults = Collector::default();
    let mut document = Document::read(text, &mut faults);
    let pipeline = document
        .tree
        .as_mut()
        .and_then(|tree| rules::object(tree, &mut faults));
    let parsed = pipeline.and_then(|pipeline| {
        let object = EventPipeline::deserialize(document.tree.as_ref()?).ok()?;
        Some(Parsed { object, pipeline })
    });
    faults.finish(parsed, |path| document.line(path))
}

/// Validates an object that is already typed.
///
/// # Errors
/// Every fault, with the path of its field.
pub fn validate(object: &EventPipeline) -> Result<ValidatedPipeline, Faults> {
    let mut faults = Collector::default();
    let pipeline = rules::object(&mut rules::tree(object), &mut faults);
    faults.finish(pipeline, |_| None)
}
