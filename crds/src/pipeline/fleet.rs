//! What the operator makes of a validated pipeline. The processor reads only the state.
//! Layer: core

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ImageName, PriorityClassName, RestartToken, SecretName};

/// What the fleet is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Work.
    #[default]
    Running,
    /// Keep the place in the group, admit nothing.
    Paused,
    /// Finish what is admitted, commit, and go to zero pods.
    Drained,
}

impl State {
    /// Whether it is the state that an object without one has.
    #[must_use]
    pub fn is_running(&self) -> bool {
        *self == Self::Running
    }
}

/// What the operator makes of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Number of pods; `None` when nobody has written it.
    pub replicas: Option<u32>,
    /// Who decides about that number.
    pub autoscaling: Autoscaling,
    /// After how long without progress a rollout is called stalled.
    pub progress_deadline: Duration,
    /// Any change of it replaces every pod.
    pub restart_token: Option<RestartToken>,
    /// Pods that a node drain may take at once.
    pub max_unavailable: u32,
    /// What may be said about the pods.
    pub pod: PodOptions,
    /// Image with the user's own stages.
    pub image: Option<ImageName>,
}

/// Who decides about the number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoscaling {
    /// Who.
    pub mode: ScalingMode,
    /// Fewest pods.
    pub min_replicas: u32,
    /// Most pods; `None` is the number of partitions.
    pub max_replicas: Option<u32>,
}

/// Who decides about the number of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingMode {
    /// Whoever writes `replicas`.
    #[default]
    Off,
    /// Another controller, by the scale subresource.
    External,
    /// Whoever writes `replicas`; the operator says what it would do.
    Advise,
    /// The operator.
    Builtin,
}

impl ScalingMode {
    /// Whether this version has it.
    #[must_use]
    pub fn is_built(self) -> bool {
        matches!(self, Self::Off | Self::External)
    }
}

/// What may be said about the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodOptions {
    /// Added to the operator's own.
    pub labels: BTreeMap<String, String>,
    /// Added to the operator's own.
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods put up with.
    pub tolerations: Vec<Toleration>,
    /// Over what the pods are spread as far as possible.
    pub topology_spread: TopologySpread,
    /// Priority class.
    pub priority_class: Option<PriorityClassName>,
    /// Secrets for the image's registry.
    pub image_pull_secrets: Vec<SecretName>,
}

/// A taint that the pods put up with, in the words of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    /// Key of the taint; `None` is every taint.
    pub key: Option<String>,
    /// How the value is compared.
    pub operator: TolerationOperator,
    /// Value of the taint.
    pub value: Option<String>,
    /// `None` is every effect.
    pub effect: Option<TaintEffect>,
    /// How long a pod stays; `None` is for ever.
    pub seconds: Option<u32>,
}

/// How the value of a taint is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// Key and value are equal.
    #[default]
    Equal,
    /// The key is there.
    Exists,
}

impl TolerationOperator {
    /// As Kubernetes spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::Exists => "Exists",
        }
    }
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// Rather no new pods.
    PreferNoSchedule,
    /// No pods.
    NoExecute,
}

impl TaintEffect {
    /// As Kubernetes spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// Over what the pods are spread as far as possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopologySpread {
    /// As the scheduler likes.
    #[default]
    None,
    /// Over nodes.
    Node,
    /// Over zones.
    Zone,
}
