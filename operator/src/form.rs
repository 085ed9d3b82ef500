//! The status as it is written into the object, with times as the API server's types have them.
//! Layer: core

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use penstock_crds::status::{Derived, DrainOutcome, DrainedPod, Revisions};
use serde::{Deserialize, Serialize};

/// What is said about a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineStatus {
    /// The generation that all of this is about.
    pub observed_generation: i64,
    /// Pods of the fleet.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods of the current revision.
    pub updated_replicas: i32,
    /// Pods that are wished.
    pub desired_replicas: i32,
    /// Selector of the current revision's pods, for scalers.
    pub selector: String,
    /// What follows from the memory limit.
    pub derived: Option<Derived>,
    /// What is known of the source.
    pub source: Option<SourceFacts>,
    /// Revisions of the fleet.
    pub revisions: Revisions,
    /// The last pod that was killed for its memory.
    #[serde(rename = "lastOOM")]
    pub last_oom: Option<LastOom>,
    /// How far a drain is, and its evidence.
    pub drain: Option<Drain>,
    /// Conditions, sorted by type.
    pub conditions: Vec<Condition>,
}

/// What is known of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceFacts {
    /// Partitions of all topics.
    pub partitions: Option<i32>,
    /// Brokers.
    pub brokers: Option<i32>,
    /// Records not yet finished, rounded.
    pub lag_records: Option<i64>,
    /// Seconds that they need at the present rate, rounded.
    pub catch_up_seconds: Option<i64>,
    /// When the rounded numbers were last written.
    pub observed_at: Option<Time>,
}

/// A pod that was killed for its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOom {
    /// When.
    pub at: Time,
    /// Which.
    pub pod: String,
    /// What it ran.
    pub revision: String,
}

/// How far a drain is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// When it was first seen.
    pub started_at: Time,
    /// Where it stands.
    pub outcome: DrainOutcome,
    /// What each pod said when it had finished, or at the deadline.
    #[serde(default)]
    pub pods: Vec<DrainedPod>,
}
