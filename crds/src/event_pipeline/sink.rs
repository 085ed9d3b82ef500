//! `spec.sinks` as it is written: a name and exactly one typed body.
//! Layer: core

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretRef, SinkTlsSpec};

/// An external system. Exactly one of the kinds is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkSpec {
    /// Unique; a DNS-1123 label of at most 40 characters.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Deadline of one operation. elasticsearch 30, mongodb 15, redis 5, embedded 15 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: Option<u32>,
    /// Operations under way at once; derived when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u32>,
    /// Elasticsearch or OpenSearch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<ElasticsearchSpec>,
    /// MongoDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongodb: Option<MongodbSpec>,
    /// Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// A SQLite file in the processor's process: local runs, demo, tests; at most one replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedSpec>,
}

/// Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ElasticsearchSpec {
    /// Nodes, used in turn, such as https://search:9200.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 2048)))]
    pub urls: Vec<String>,
    /// Its key apiKey, or its keys username and password, are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Whom to trust; only with https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SinkTlsSpec>,
}

/// MongoDB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MongodbSpec {
    /// Servers to ask first, host:port.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 260)))]
    pub hosts: Vec<String>,
    /// Database of the collections.
    #[schemars(length(min = 1, max = 63))]
    pub database: String,
    /// Name of the replica set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub replica_set: Option<String>,
    /// Database of the user; admin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub auth_source: Option<String>,
    /// Its keys username and password are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// TLS to the servers; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SinkTlsSpec>,
}

/// Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisSpec {
    /// host:port.
    #[schemars(length(min = 1, max = 260))]
    pub address: String,
    /// Number of the database. 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 15))]
    pub database: Option<u8>,
    /// Its key password, and its key username where there is one, are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// TLS to the server; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SinkTlsSpec>,
}

/// A SQLite file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddedSpec {
    /// Path of the file; relative to the directory the processor is started in.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
}
