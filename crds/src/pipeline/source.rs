//! Where the records of a validated pipeline come from.
//! Layer: core

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Auth, Tls};
use crate::{
    expression::RecordField,
    names::{BootstrapServer, GroupId, HeaderName, TopicName},
};

/// The Kafka side of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// At least one.
    pub bootstrap_servers: Vec<BootstrapServer>,
    /// TLS to the brokers; `None` is plain text.
    pub tls: Option<Tls>,
    /// How the processor proves who it is; `None` is not at all.
    pub auth: Option<Auth>,
    /// At least one, all different; the position in this list is the processor's topic id.
    pub topics: Vec<TopicName>,
    /// Consumer group.
    pub consumer_group: GroupId,
    /// What the key of a record is.
    pub key: KeySource,
    /// What happens to records without one.
    pub null_keys: NullKeys,
    /// Raised by the user for a deliberate replay or a recreated topic.
    pub generation: u64,
    /// Where a group without offsets begins.
    pub start: Start,
    /// Largest record that is processed, bytes; larger ones are errors of the record.
    pub max_message_bytes: u64,
    /// Which rebalance protocol is spoken.
    pub group_protocol: GroupProtocol,
    /// What the memory law needs to know about the topics.
    pub facts: Facts,
    /// Tuning of the client that costs no memory.
    pub client: ClientTuning,
}

/// What the key of a record is: order, guards and quarantine hold per topic, partition and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The record's own key.
    Record,
    /// The value of a header.
    Header(HeaderName),
}

impl KeySource {
    /// The field of `record` that holds the key.
    #[must_use]
    pub fn field(&self) -> RecordField {
        match self {
            Self::Record => RecordField::Key,
            Self::Header(name) => RecordField::Header(name.as_str().into()),
        }
    }
}

/// What happens to records without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NullKeys {
    /// Each is a key of its own: no order among them.
    Spread,
    /// Together they are one key.
    Single,
    /// The header's value is the key; without that header, as `Spread`.
    Header(HeaderName),
}

/// Where a group without offsets begins; existing offsets are taken over as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record.
    Earliest,
    /// With the next record.
    Latest,
    /// With the first record at or after this time, milliseconds since the epoch.
    Timestamp(i64),
}

/// Rebalance protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupProtocol {
    /// The classic one, cooperative.
    #[default]
    Classic,
    /// KIP-848.
    Consumer,
}

/// How the topics' batches are compressed; the costliest when mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// What the memory law needs to know about the topics. `None` is unknown: observed, or assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Largest batch as the broker stores it, bytes.
    pub largest_batch_bytes: Option<u64>,
    /// Value bytes per compressed byte, in percent, the largest seen; 100 is uncompressed.
    pub compression_percent: Option<u32>,
    /// Codec of the batches.
    pub codec: Option<Codec>,
    /// Smallest typical value, bytes.
    pub typical_value_bytes: Option<u64>,
    /// Brokers that lead the partitions.
    pub brokers: Option<u32>,
    /// Partitions of all topics together.
    pub partitions: Option<u32>,
}

/// Tuning of the client that costs no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTuning {
    /// How long a broker may wait for data (`fetch.wait.max.ms`).
    pub fetch_wait: Duration,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`.
    pub poll_interval: Duration,
    /// `client.rack`.
    pub rack: Option<String>,
    /// How long a revoke waits for running records.
    pub drain: Duration,
    /// Time between commits.
    pub commit_interval: Duration,
}
