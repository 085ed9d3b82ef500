//! `spec.source` as it is written.
//! Layer: core

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuthSpec, QuantityText, TlsSpec};
use crate::pipeline::{Codec, GroupProtocol};

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSpec {
    /// Brokers to ask first, host:port.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 260)))]
    pub bootstrap_servers: Vec<String>,
    /// TLS to the brokers; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// How the processor proves who it is; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// Topics, all read by the same stages.
    #[schemars(length(min = 1, max = 64))]
    pub topics: Vec<TopicSpec>,
    /// Consumer group. Its offsets are taken over as they are.
    #[schemars(length(min = 1, max = 249))]
    pub consumer_group: String,
    /// What the key of a record is. Record when absent.
    #[serde(default)]
    pub key: KeySpec,
    /// What happens to records without a key. Spread when absent.
    #[serde(default)]
    pub null_keys: NullKeysSpec,
    /// Raised for a deliberate replay or a recreated topic. 0 when absent.
    #[serde(default)]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub generation: u64,
    /// Where a group without offsets begins. Earliest when absent.
    #[serde(default)]
    pub start: StartSpec,
    /// Largest record that is processed, 1 to 1000M. 1Mi when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<QuantityText>,
    /// Rebalance protocol. Classic when absent.
    #[serde(default)]
    pub group_protocol: GroupProtocol,
    /// What the memory law needs to know about the topics; observed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<FactsSpec>,
    /// Tuning of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSpec>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicSpec {
    /// Its name in Kafka.
    #[schemars(length(min = 1, max = 249))]
    pub name: String,
}

/// What the key of a record is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeySpec {
    /// The record's own key.
    #[default]
    Record,
    /// The value of this header.
    #[serde(rename = "header")]
    Header(String),
}

/// What happens to records without a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NullKeysSpec {
    /// Each is a key of its own: no order among them.
    #[default]
    Spread,
    /// Together they are one key.
    Single,
    /// The value of this header is the key; without it, as Spread.
    #[serde(rename = "header")]
    Header(String),
}

/// Where a group without offsets begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StartSpec {
    /// With the oldest record.
    #[default]
    Earliest,
    /// With the next record.
    Latest,
    /// With the first record at or after this time, such as 2026-11-21T00:00:00Z.
    #[serde(rename = "timestamp")]
    Timestamp(String),
}

/// What the memory law needs to know about the topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FactsSpec {
    /// Largest batch as the broker stores it, compressed; 1 to 1000M.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_batch_bytes: Option<QuantityText>,
    /// Value bytes per compressed byte, in percent, the largest seen; 100 is uncompressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 100_000))]
    pub compression_percent: Option<u32>,
    /// Codec of the batches, the costliest when mixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<Codec>,
    /// Smallest typical value; 1 to 1000M.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_value_bytes: Option<QuantityText>,
    /// Brokers that lead the partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub brokers: Option<u32>,
    /// Partitions of all topics together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub partitions: Option<u32>,
}

/// Tuning of the client that costs no memory. There is no pass-through of client settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientSpec {
    /// How long a broker may wait for data. 500 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30_000))]
    pub fetch_wait_millis: Option<u32>,
    /// After which silence the group gives the partitions away. 45000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6000, max = 1_800_000))]
    pub session_timeout_millis: Option<u32>,
    /// Longest time without a poll; not below the session timeout. 300000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6000, max = 86_400_000))]
    pub poll_interval_millis: Option<u32>,
    /// Rack of the pod, for fetching from the nearest replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub rack: Option<String>,
    /// How long a revoke waits for running records. 1000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 60_000))]
    pub drain_millis: Option<u32>,
    /// Time between commits. 1000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 60_000))]
    pub commit_interval_millis: Option<u32>,
}
