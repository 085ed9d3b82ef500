//! The object as it is written: `penstock.dev/v1alpha1`, kind `EventPipeline`.
//! Layer: core
//!
//! Texts in it are not yet checked; [`crate::parse`] turns it into a
//! [`ValidatedPipeline`](crate::pipeline::ValidatedPipeline) and reports every fault.

mod delivery;
mod fleet;
mod security;
mod sink;
mod source;
mod stage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    delivery::{
        BackoffSpec, DrainSpec, FailureSpec, MemorySpec, OverridesSpec, QuantityText, ResourceList,
        ResourcesSpec, WeightsSpec,
    },
    fleet::{AutoscalingSpec, DisruptionBudgetSpec, PodSpec, RolloutSpec, TolerationSpec},
    security::{AuthSpec, ClientCertificateSpec, SecretKeyRef, SecretRef, SinkTlsSpec, TlsSpec},
    sink::{ElasticsearchSpec, EmbeddedSpec, MongodbSpec, RedisSpec, SinkSpec},
    source::{ClientSpec, FactsSpec, KeySpec, NullKeysSpec, SourceSpec, StartSpec, TopicSpec},
    stage::{
        AmountSpec, ArchiveSpec, ChangeSpec, CountSpec, CustomSpec, FilterSpec, FlushSpec,
        HeaderSpec, HttpHeaderSpec, HttpSpec, IndexSpec, ProduceSpec, SetFieldSpec, SetSpec,
        StageSpec, UniqueSpec, UpsertSpec,
    },
};
use crate::pipeline::{Ordering, State};

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
    /// Running, Paused (keeps its place in the group, admits nothing) or Drained (finishes,
    /// commits, and goes to zero pods). Running when absent.
    #[serde(default, skip_serializing_if = "State::is_running")]
    pub state: State,
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
    /// Number of pods; whoever autoscaling.mode names writes it. 1 when nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Who decides about the number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,
    /// How pods are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutSpec>,
    /// How many pods a node drain may take at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudgetSpec>,
    /// What may be said about the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSpec>,
    /// Image with the user's own stages; must begin with a prefix that the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
}
