//! `spec.resources`, `memory`, `failure` and `drain` as they are written.
//! Layer: core

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::pipeline::OnRecordError;

/// What a pod may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourcesSpec {
    /// The memory limit is required.
    pub limits: ResourceList,
    /// Memory must equal the limit when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceList>,
}

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResourceList {
    /// Bytes, such as 256Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<QuantityText>,
    /// Cores, such as 500m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<QuantityText>,
}

/// A Kubernetes quantity as it is written: text, or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum QuantityText {
    /// `256Mi`.
    Text(String),
    /// `268435456`.
    Number(i64),
}

impl fmt::Display for QuantityText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl JsonSchema for QuantityText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": true,
        })
    }
}

/// Weights and overrides of the memory law.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemorySpec {
    /// Shares of what the minimums leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSpec>,
    /// Sizes pinned instead of derived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverridesSpec>,
}

/// Shares of what the minimums leave; the law's own when absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WeightsSpec {
    /// What the Kafka client prefetches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub kafka: Option<u32>,
    /// Records queued or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub dispatcher: Option<u32>,
    /// Parsed events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub active: Option<u32>,
    /// Batches of all sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub sinks: Option<u32>,
    /// Caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub caches: Option<u32>,
}

/// Sizes pinned instead of derived; legal if the other minimums still fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OverridesSpec {
    /// What the Kafka client prefetches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<QuantityText>,
    /// Records queued or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatcher: Option<QuantityText>,
    /// Parsed events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<QuantityText>,
    /// Batches of all sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinks: Option<QuantityText>,
    /// Caches, in real bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caches: Option<QuantityText>,
    /// Workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub workers: Option<u32>,
    /// Records per partition that may be repeated after a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub window: Option<u32>,
}

/// What happens when a record or a sink fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FailureSpec {
    /// Attempts that a record may consume by its own fault. 5 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// Pauses between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<BackoffSpec>,
    /// What follows the last attempt. Block when absent.
    pub on_record_error: OnRecordError,
    /// Where dead letters go; not a topic of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249))]
    pub dead_letter_topic: Option<String>,
}

/// Pauses between attempts, doubled each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackoffSpec {
    /// The first pause. 200 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub initial_millis: Option<u32>,
    /// The longest pause. 30000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub max_millis: Option<u32>,
}

/// How a pod stops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrainSpec {
    /// Longest time from SIGTERM to the last commit. 60 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 1800))]
    pub timeout_seconds: Option<u32>,
}
