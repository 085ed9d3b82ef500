//! The status as it is written into the object.
//! Layer: core

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
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

/// What follows from the memory limit, in bytes where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Derived {
    /// The limit of a pod.
    pub memory_limit_bytes: i64,
    /// Never assigned.
    pub safety_bytes: i64,
    /// Binary, threads, connections.
    pub fixed_bytes: i64,
    /// What the Kafka client prefetches.
    pub kafka_bytes: i64,
    /// Records queued or running.
    pub dispatcher_bytes: i64,
    /// Parsed events.
    pub active_bytes: i64,
    /// Batches of all sinks.
    pub sinks_bytes: i64,
    /// Caches.
    pub caches_bytes: i64,
    /// Records in flight, at most.
    pub records: i64,
    /// Records of a partition that a crash repeats, at most.
    pub window_records: i64,
    /// Tasks that run inline stages.
    pub workers: i32,
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

/// Revisions of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revisions {
    /// What is rolled out, or being rolled out.
    pub current: Option<String>,
    /// The last one of which every pod was ready.
    pub last_stable: Option<String>,
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

/// Where a drain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrainOutcome {
    /// Some pod has records in flight, or was not heard of.
    Draining,
    /// Every pod finished and committed; the fleet is sent home.
    Complete,
    /// The deadline passed before every pod had finished. The fleet is sent home all the same: what
    /// is not committed is delivered again.
    DeadlineExceeded,
}

/// The evidence of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainedPod {
    /// Its name.
    pub pod: String,
    /// Partitions that it held.
    pub partitions: i32,
    /// Records finished since its start.
    pub finished_records: i64,
    /// Records in flight: 0, unless the deadline passed.
    pub in_flight_records: i64,
}
