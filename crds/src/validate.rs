//! From the object as it is written to the validated pipeline, collecting every fault on the way.
//! Layer: core
//!
//! Text becomes a tree, the tree is compared with the schema, then each part that has the right
//! shape is judged on its own: a fault in one stage hides none in another.

mod delivery;
mod fleet;
mod security;
mod sinks;
mod source;
mod stage;
mod stages;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::sinks::Declared;
use crate::{
    event_pipeline::{API_VERSION, DrainSpec, EventPipeline, KIND},
    fault::Collector,
    names::{Namespace, PipelineName, shown},
    pipeline::ValidatedPipeline,
    schema, structure,
};

/// Longest time from SIGTERM to the last commit when the object names none.
const DRAIN_SECONDS: u32 = 60;

/// Checks the object's tree; `None` when something was wrong, which is then among the faults.
pub(crate) fn object(tree: &mut Value, faults: &mut Collector) -> Option<ValidatedPipeline> {
    let declared = shape(schema::object(), tree, faults);
    let text = |pointer| tree.pointer(pointer).and_then(Value::as_str);
    fixed(text("/apiVersion"), "apiVersion", API_VERSION, faults);
    fixed(text("/kind"), "kind", KIND, faults);
    let name = text("/metadata/name");
    let namespace = text("/metadata/namespace");
    let name = name.and_then(|n| faults.keep("metadata.name", PipelineName::parse(n)));
    let namespace = Namespace::parse(namespace.unwrap_or("default"));
    let namespace = faults.keep("metadata.namespace", namespace);
    spec(tree.get("spec")?, name.zip(namespace), &declared, faults)
}

/// Compares a tree that has a `spec` with its schema; answers which sinks it declares.
pub(crate) fn shape(schema: &Value, tree: &mut Value, faults: &mut Collector) -> Declared {
    structure::check(schema, "", tree, faults);
    Declared::read(tree.pointer("/spec/sinks"))
}

/// Checks `spec`, whose shape was compared with the schema before.
pub(crate) fn spec(
    spec: &Value,
    identity: Option<(PipelineName, Namespace)>,
    declared: &Declared,
    faults: &mut Collector,
) -> Option<ValidatedPipeline> {
    let source = piece(spec.get("source")).and_then(|written| source::check(written, faults));
    let ordering = spec
        .get("ordering")
        .map_or(Some(Default::default()), |own| piece(Some(own)));
    let resources = piece(spec.get("resources"));
    let resources = resources.and_then(|written| delivery::resources(written, faults));
    let memory = part(spec.get("memory")).and_then(|written| delivery::memory(&written, faults));
    let sinks = sinks::check(spec.get("sinks"), faults);
    let topics = source::topics(spec.get("source"));
    let failure =
        part(spec.get("failure")).and_then(|written| delivery::failure(written, &topics, faults));
    let surroundings = stages::Surroundings {
        sinks: declared,
        topics: &topics,
        key: source.as_ref().map(|source| &source.key),
        ordering: ordering.unwrap_or_default(),
    };
    let stages = stages::check(spec.get("stages"), &surroundings, faults);
    let drain: Option<DrainSpec> = part(spec.get("drain"));
    let drain = drain.map(|own| own.timeout_seconds.unwrap_or(DRAIN_SECONDS));
    let state = part(spec.get("state"));
    let fleet = fleet::check(spec, declared, drain, faults);
    let (name, namespace) = identity?;
    Some(ValidatedPipeline {
        name,
        namespace,
        state: state?,
        source: source?,
        ordering: ordering?,
        resources: resources?,
        memory: memory?,
        stages: stages?,
        sinks: sinks?,
        failure: failure?,
        drain_timeout: Duration::from_secs(drain?.into()),
        fleet: fleet?,
    })
}

/// The tree of an object that is already typed, to be judged as if it had been read.
pub(crate) fn tree(object: &EventPipeline) -> Value {
    serde_json::to_value(object).expect("the object's maps have text keys and no number is a float")
}

/// A required part, typed; `None` when its shape is wrong, which the schema has reported.
fn piece<T: DeserializeOwned>(tree: Option<&Value>) -> Option<T> {
    T::deserialize(tree?).ok()
}

/// An optional part, typed; its default when absent, `None` when its shape is wrong.
fn part<T: DeserializeOwned + Default>(tree: Option<&Value>) -> Option<T> {
    tree.map_or_else(|| Some(T::default()), |tree| piece(Some(tree)))
}

fn fixed(own: Option<&str>, field: &str, legal: &str, faults: &mut Collector) {
    if let Some(own) = own.filter(|own| *own != legal) {
        faults.add(field, format!("{} is not legal: {legal}", shown(own)));
    }
}
