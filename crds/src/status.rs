//! The status as the operator writes it into the object: its form and its words.
//! Layer: core
//!
//! Everything is bounded: the largest status is below [`MAX_BYTES`]. Fast numbers are rounded and
//! written at most every half minute; what changes faster is in the metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest status, bytes of JSON.
pub const MAX_BYTES: usize = 16 * 1024;
/// Longest message of a condition, characters.
pub const MAX_MESSAGE: usize = 1024;
/// Pods whose evidence of a drain is kept.
pub const MAX_DRAINED_PODS: usize = 16;

/// What is said about a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(length(max = 512))]
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
    /// One of each type.
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
}

/// What follows from the memory limit, in bytes where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(length(max = 32))]
    pub observed_at: Option<String>,
}

/// Revisions of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Revisions {
    /// What is rolled out, or being rolled out.
    #[schemars(length(max = 63))]
    pub current: Option<String>,
    /// The last one of which every pod was ready.
    #[schemars(length(max = 63))]
    pub last_stable: Option<String>,
}

/// A pod that was killed for its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastOom {
    /// When.
    #[schemars(length(max = 32))]
    pub at: String,
    /// Which.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// What it ran.
    #[schemars(length(max = 63))]
    pub revision: String,
}

/// How far a drain is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// When it was first seen.
    #[schemars(length(max = 32))]
    pub started_at: String,
    /// Where it stands.
    pub outcome: DrainOutcome,
    /// What pods said when they had finished, or at the deadline; of more than 16, those of the
    /// first by name.
    #[schemars(length(max = 1000))]
    pub pods: Vec<DrainedPod>,
}

/// Where a drain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DrainOutcome {
    /// Some pod has records in flight, or was not heard of.
    #[default]
    Draining,
    /// Every pod finished and committed; the fleet is sent home.
    Complete,
    /// The deadline passed before every pod had finished. The fleet is sent home all the same: what
    /// is not committed is delivered again.
    DeadlineExceeded,
}

/// The evidence of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainedPod {
    /// Its name.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// Partitions that it held.
    pub partitions: i32,
    /// Records finished since its start.
    pub finished_records: i64,
    /// Records in flight: 0, unless the deadline passed.
    pub in_flight_records: i64,
}

/// A condition, in the form that Kubernetes has for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for machines.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// For people: the field, the value, and what to do.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The generation that it was judged at.
    pub observed_generation: Option<i64>,
    /// When its status last changed.
    #[schemars(length(max = 32))]
    pub last_transition_time: String,
}

/// Types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// Everything that was asked for is there and works.
    Ready,
    /// The source can be used.
    SourceReady,
    /// Every sink can be used.
    SinksReady,
    /// The plan fits, and no pod of this revision was killed for its memory.
    MemoryFits,
    /// The fleet keeps up with its topics; has no part in Ready.
    LagWithinTarget,
    /// Nothing is in flight, and nothing is admitted.
    Drained,
    /// Work is under way for this generation; only there while true.
    Reconciling,
    /// Nothing goes on without a change from outside; only there while true.
    Stalled,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_status_is_small() {
        let wide = |length: usize| "x".repeat(length);
        let pod = DrainedPod {
            pod: wide(253),
            partitions: i32::MAX,
            finished_records: i64::MAX,
            in_flight_records: i64::MAX,
        };
        let types = [
            ConditionType::Ready,
            ConditionType::SourceReady,
            ConditionType::SinksReady,
            ConditionType::MemoryFits,
            ConditionType::LagWithinTarget,
            ConditionType::Drained,
            ConditionType::Reconciling,
        ];
        // Reconciling and Stalled are never there together.
        let condition = |kind| Condition {
            kind,
            status: ConditionStatus::Unknown,
            reason: wide(64),
            message: wide(MAX_MESSAGE),
            observed_generation: Some(i64::MAX),
            last_transition_time: wide(32),
        };
        let status = PipelineStatus {
            observed_generation: i64::MAX,
            selector: wide(512),
            drain: Some(Drain {
                started_at: wide(32),
                outcome: DrainOutcome::Complete,
                pods: vec![pod; MAX_DRAINED_PODS],
            }),
            conditions: types.map(condition).to_vec(),
            ..PipelineStatus::default()
        };
        let bytes = serde_json::to_string(&status).unwrap().len();
        assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    }
}
