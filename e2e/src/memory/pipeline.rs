//! The pipeline file of one trial.
//! Layer: core

use super::payload::{Payload, Work};
use crate::names::Names;

const TEMPLATE: &str = include_str!("../../pipelines/memory.yaml");

/// YAML's flow form fits on the template's line.
const FORWARD: &str = r#"[{name: read, filter: {keep: has(event.id)}}, {name: forward, when: has(event.sample), produce: {topic: ${OUTPUT}, value: event.id}}]"#;
const COUNT: &str = r#"[{name: records, count: {sink: store, collection: records, id: event.group, amounts: [{field: seen, value: "1"}]}}]"#;
const VISITORS: &str = r#"[{name: visitors, unique: {sink: store, set: event.group, member: event.id, window: Month}}]"#;
const DOCUMENTS: &str = "[{name: documents, index: {sink: store, index: documents, id: event.id}}]";
const STORE: &str = "[{name: store, embedded: {path: sink.db}}]";

/// What the pipeline is told beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// Broker.
    pub(crate) bootstrap: &'a str,
    /// Topics and group.
    pub(crate) names: &'a Names,
    /// Memory limit of the object, bytes.
    pub(crate) limit: u64,
    /// `maxMessageBytes`.
    pub(crate) largest: usize,
}

/// Fills the template in.
pub(crate) fn write(payload: Payload, terms: &Terms<'_>) -> String {
    let facts = payload.facts(terms.largest);
    let (stages, sinks) = match payload.work() {
        Work::Forward => (FORWARD, "[]"),
        Work::Count => (COUNT, STORE),
        Work::Visitors => (VISITORS, STORE),
        Work::Store => (DOCUMENTS, STORE),
    };
    let names = terms.names;
    TEMPLATE
        .replace("${STAGES}", stages)
        .replace("${SINKS}", sinks)
        .replace("${BOOTSTRAP}", terms.bootstrap)
        .replace("${INPUT}", &names.input)
        .replace("${OUTPUT}", &names.output)
        .replace("${DEAD}", &names.dead)
        .replace("${GROUP}", &names.group)
        .replace("${LARGEST}", &terms.largest.to_string())
        .replace("${LIMIT}", &terms.limit.to_string())
        .replace("${BATCH}", &facts.largest_batch.to_string())
        .replace("${RATIO}", &facts.compression_percent.to_string())
        .replace("${CODEC}", facts.codec)
        .replace("${TYPICAL}", &facts.typical_value.to_string())
        .replace("${PARTITIONS}", &facts.partitions.to_string())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        let names = Names::new("memory", "1");
        let terms = Terms {
            bootstrap: "localhost:1",
            names: &names,
            limit: 64 << 20,
            largest: 256 << 10,
        };
        for payload in Payload::value_variants() {
            let text = write(*payload, &terms);
            assert!(!text.contains("${"), "{text}");
        }
    }
}
