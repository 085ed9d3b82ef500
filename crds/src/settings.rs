//! The settings file: what the operator writes beside a processor and what the processor reads.
//! Layer: core

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    event_pipeline::{API_VERSION, EventPipeline, KIND, Metadata, PipelineSpec},
    fault::{Collector, Faults},
    names::{Namespace, PipelineName},
    pipeline::ValidatedPipeline,
    schema, validate,
};

/// Version of the file's form. A processor reads this one only; operator and processor of one
/// release always agree.
pub const SCHEMA_VERSION: u32 = 1;

/// The file as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessorSettings {
    /// [`SCHEMA_VERSION`].
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: u32,
    /// Whose settings these are.
    pub pipeline: PipelineIdentity,
    /// The object's spec, unchanged.
    pub spec: PipelineSpec,
    /// What was seen of the brokers.
    #[serde(default)]
    pub observed: Observed,
    /// The memory limit that the plan was made for, bytes; the processor compares it with its
    /// cgroup's.
    #[schemars(range(min = 1, max = 9_223_372_036_854_775_807_i64))]
    pub planned_limit_bytes: u64,
}

/// Name and namespace of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineIdentity {
    /// `metadata.name` of the object.
    pub name: String,
    /// `metadata.namespace` of the object.
    pub namespace: String,
}

/// What was seen of the brokers; wins over what the spec declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Observed {
    /// Partitions of all topics together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub partitions: Option<u32>,
    /// Brokers that lead them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub brokers: Option<u32>,
}

/// Settings without faults.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedSettings {
    /// The pipeline.
    pub pipeline: ValidatedPipeline,
    /// What was seen of the brokers.
    pub observed: Observed,
    /// The memory limit that the plan was made for, bytes.
    pub planned_limit_bytes: u64,
}

impl ProcessorSettings {
    /// The settings of a pipeline.
    #[must_use]
    pub fn new(object: &EventPipeline, observed: Observed, planned_limit_bytes: u64) -> Self {
        let namespace = object.metadata.namespace.clone();
        Self {
            schema_version: SCHEMA_VERSION,
            pipeline: PipelineIdentity {
                name: object.metadata.name.clone(),
                namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            },
            spec: object.spec.clone(),
            observed,
            planned_limit_bytes,
        }
    }

    /// The object that these settings were made from, its namespace spelled out.
    #[must_use]
    pub fn object(&self) -> EventPipeline {
        EventPipeline {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: Metadata {
                name: self.pipeline.name.clone(),
                namespace: Some(self.pipeline.namespace.clone()),
            },
            spec: self.spec.clone(),
        }
    }

    /// The file's text: JSON, one field a line.
    ///
    /// # Panics
    /// Never: every part of the settings has a JSON form.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("settings have text keys and no floats")
    }
}

/// Reads a settings file, JSON or YAML, and validates what is in it.
///
/// # Errors
/// Every fault, with path and line.
pub fn parse_settings(text: &str) -> Result<ValidatedSettings, Faults> {
    let mut faults = Collector::default();
    let mut document = Document::read(text, &mut faults);
    let settings = document
        .tree
        .as_mut()
        .and_then(|tree| check(tree, &mut faults));
    faults.finish(settings, |path| document.line(path))
}

fn check(tree: &mut serde_json::Value, faults: &mut Collector) -> Option<ValidatedSettings> {
    let declared = validate::shape(schema::settings(), tree, faults);
    let text = |pointer| tree.pointer(pointer).and_then(serde_json::Value::as_str);
    let name = text("/pipeline/name").map(PipelineName::parse);
    let namespace = text("/pipeline/namespace").map(Namespace::parse);
    let name = name.and_then(|name| faults.keep("pipeline.name", name));
    let namespace = namespace.and_then(|name| faults.keep("pipeline.namespace", name));
    let pipeline = validate::spec(tree.get("spec")?, name.zip(namespace), &declared, faults)?;
    let observed = tree.get("observed").map(Observed::deserialize);
    Some(ValidatedSettings {
        pipeline,
        observed: observed.unwrap_or_else(|| Ok(Observed::default())).ok()?,
        planned_limit_bytes: tree.get("plannedLimitBytes")?.as_u64()?,
    })
}
