//! The object as it is written: `penstock.dev/v1alpha1`, kind `EventPipeline`.
//! Layer: core
//!
//! Texts in it are not yet checked; [`crate::parse`] turns it into a
//! [`ValidatedPipeline`](crate::pipeline::ValidatedPipeline) and reports every fault.

mod delivery;
mod source;
mod stage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    delivery::{
        BackoffSpec, DrainSpec, EmbeddedSpec, FailureSpec, MemorySpec, OverridesSpec, QuantityText,
        ResourceList, ResourcesSpec, SinkSpec, WeightsSpec,
    },
    source::{ClientSpec, FactsSpec, KeySpec, NullKeysSpec, SourceSpec, StartSpec, TopicSpec},
    stage::{
        AmountSpec, ChangeSpec, CountSpec, CustomSpec, FilterSpec, HeaderSpec, IndexSpec,
        ProduceSpec, SetFieldSpec, SetSpec, StageSpec, UniqueSpec, UpsertSpec,
    },
};
use crate::pipeline::Ordering;

/// `apiVersion` of the object.
pub const API_VERSION: &str = "penstock.dev/v1alpha1";
/// `kind` of the object.
pub const KIND: &str = "EventPipeline";

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventPipeline {
    /// `penstock.dev/v1alpha1`.
    pub api_version: String,
    /// `EventPipeline`.
    pub kind: String,
    /// Name and namespace.
    pub metadata: Metadata,
    /// What the user asks for.
    pub spec: PipelineSpec,
}

/// What is read of the object's metadata; Kubernetes owns the rest of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// DNS-1123 label of at most 40 characters.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Namespace; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What the user asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineSpec {
    /// Where records come from.
    pub source: SourceSpec,
    /// What is kept in order. PerKey when absent.
    #[serde(default)]
    pub ordering: Ordering,
    /// What a pod may use; every size is derived from the memory limit.
    pub resources: ResourcesSpec,
    /// Weights and overrides of the memory law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySpec>,
    /// The steps on the way of an event, in order, detached ones last.
    #[schemars(length(min = 1, max = 16))]
    pub stages: Vec<StageSpec>,
    /// External systems that stages write to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub sinks: Vec<SinkSpec>,
    /// What happens when a record or a sink fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureSpec>,
    /// How a pod stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainSpec>,
}
