//! What `/status` tells: the processor's account of itself, as plain data.
//! Layer: core

use serde::{Deserialize, Serialize};

use crate::pipeline::State;

/// One processor at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Whether and why it is ready.
    pub readiness: String,
    /// What the fleet is asked to do, and whether this processor has done it.
    #[serde(default)]
    pub control: ControlStatus,
    /// Records finished since the start, by outcome.
    pub finished: Finished,
    /// Partitions assigned to this process.
    pub partitions: Vec<PartitionStatus>,
    /// What holds records back now; empty when nothing does.
    pub gears: Vec<GearStatus>,
    /// The client's side.
    pub source: SourceStatus,
    /// Numbers of the plan that others compute with.
    pub plan: PlanStatus,
    /// The ledger against the plan.
    pub memory: MemoryStatus,
    /// The backlog of each detached stage.
    pub detached: Vec<DetachedStatus>,
    /// Health of each sink.
    pub sinks: Vec<SinkStatus>,
    /// The last failures of records, without payload.
    pub troubles: Vec<Trouble>,
}

/// What the fleet is asked to do, as far as this processor has read and done it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlStatus {
    /// `spec.state`, as last read.
    pub state: State,
    /// Nothing is admitted, nothing is in flight, and an acknowledged commit covers every finished
    /// record. Never while `Running`.
    pub settled: bool,
    /// The settings file holds more than another `state`: that takes a restart.
    pub restart_needed: bool,
    /// Why the settings file cannot be used; the last good state holds.
    pub fault: Option<String>,
}

/// Why records wait in the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GearStatus {
    /// `held`, `paused` or `draining`.
    pub name: String,
    /// Topic name and partition, as `topic/3`.
    pub partition: String,
    /// What is waited for.
    pub reason: String,
}

/// Numbers of the plan that others compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Largest window of a partition: what a crash repeats at most.
    pub window_records: u64,
    /// Tasks that run inline stages.
    pub workers: u32,
    /// Tasks of each detached stage.
    pub detached_workers: u32,
    /// Bytes of all records admitted and not finished.
    pub dispatcher_bytes: u64,
}

/// One failed record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// What happened.
    pub reason: String,
}

/// Terminal outcomes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// Went through every stage.
    pub done: u64,
    /// A filter said no.
    pub filtered: u64,
    /// Another record had the same id.
    pub duplicates: u64,
    /// Acknowledged by the dead-letter topic.
    pub dead_lettered: u64,
}

impl Finished {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.done + self.filtered + self.duplicates + self.dead_lettered
    }
}

/// One assigned partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionStatus {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Assignment to this process, counted.
    pub epoch: u64,
    /// First offset not yet finished.
    pub watermark: i64,
    /// First offset not yet admitted.
    pub position: i64,
    /// Records admitted and not yet covered by an acknowledged commit: what a crash repeats.
    pub window: u64,
    /// Largest legal window.
    pub window_limit: u64,
    /// Records queued, running, parked and blocked.
    pub held: u64,
    /// Keys that wait until the epoch ends because their record failed for good.
    pub blocked_keys: u64,
    /// Bytes charged.
    pub bytes: u64,
    /// Records between the end of the log and the watermark; `None` before the first fetch.
    pub lag_records: Option<u64>,
    /// Seconds that the lag needs at the mean service time with every worker busy.
    pub lag_seconds: Option<u64>,
    /// 0 open, 1 held, 2 paused.
    pub gear: u8,
    /// Why it is not open.
    pub gear_reason: Option<String>,
    /// Share of the hottest key in per mille of recent records.
    pub hottest_key_permille: u32,
    /// Records a second that the hottest key allows on this partition, whatever the workers.
    pub ceiling_per_second: Option<u64>,
}

/// The client's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Assignments and revocations answered.
    pub rebalances: u64,
    /// Times a partition was paused (gear 2): each costs a refetch.
    pub pauses: u64,
    /// Offsets out of order, records on the wrong queue and the like; each one is a bug.
    pub faults: u64,
    /// Clients rebuilt after a fatal error.
    pub rebuilds: u64,
    /// Commits that the coordinator refused.
    pub commit_failures: u64,
    /// Seconds since the last acknowledged commit; `None` before the first.
    pub seconds_since_commit: Option<u64>,
    /// What clients and brokers complain about now, such as refused credentials.
    #[serde(default)]
    pub trouble: Option<String>,
    /// The last batch that the client could not read, while it still tries: its partition stands
    /// still until the batch is gone from the log.
    pub stuck: Option<StuckStatus>,
}

/// A batch that the client cannot read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckStatus {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Offset of the batch.
    pub offset: i64,
    /// What the client says, such as `BadCompression`.
    pub reason: String,
}

/// Bytes by part of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStatus {
    /// The limit that the plan was derived from.
    pub limit_bytes: u64,
    /// How the cgroup's limit compares with the object's.
    pub limit_source: String,
    /// Times that the enforced limit changed since the start.
    pub limit_changes: u64,
    /// Usage less inactive file pages, as the kubelet counts.
    pub working_set_bytes: Option<u64>,
    /// The working set less what the ledger explains: fixed part and slack beside what the pools
    /// hold, or may hold where nobody counts. Negative is room.
    pub model_error_bytes: Option<i64>,
    /// What the working set is when all of the plan is used.
    pub plan_peak_bytes: u64,
    /// Each part of the ledger.
    pub parts: Vec<MemoryPart>,
    /// Times that the governor closed the gates: model error, 0 in a healthy pod.
    pub governor_activations: u64,
    /// What the operator makes conditions of.
    pub notices: Vec<MemoryNotice>,
}

/// A fact about the memory of this pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryNotice {
    /// `MemoryFits`, `LimitMismatch`, `MemoryPressure` or `MemorySpare`.
    pub condition: String,
    /// Whether it is so.
    pub holds: bool,
    /// Why, with the numbers.
    pub message: String,
}

/// One part of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPart {
    /// Name, as in the plan.
    pub name: String,
    /// Bytes planned.
    pub planned_bytes: u64,
    /// Bytes held now, where they are counted.
    pub held_bytes: Option<u64>,
}

/// The queue in front of a detached stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetachedStatus {
    /// Name of the stage.
    pub stage: String,
    /// Records waiting.
    pub queued: u64,
    /// Seconds until the window or the bytes are used up at the present rate; `None` when it shrinks.
    pub seconds_until_back_pressure: Option<u64>,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkStatus {
    /// Name in the object.
    pub name: String,
    /// `Closed`, `Open` or `HalfOpen`.
    pub breaker: String,
    /// Effects under way.
    pub in_flight: u64,
    /// Failures in a row.
    pub consecutive_failures: u64,
    /// The last error, without payload.
    pub last_error: Option<String>,
}
