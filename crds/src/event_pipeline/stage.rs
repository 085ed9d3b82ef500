//! `spec.stages` as it is written: a name, a condition and exactly one typed body.
//! Layer: core

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::pipeline::{HttpMethod, Mode, Operator, Window};

/// One step. Exactly one of the bodies below `deadlineMillis` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageSpec {
    /// Unique; a DNS-1123 label of at most 40 characters.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// CEL; the stage is skipped unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub when: Option<String>,
    /// Whether the key's next record waits for it. Inline when absent.
    #[serde(default)]
    pub mode: Mode,
    /// Deadline of each of its operations; the sink's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub deadline_millis: Option<u32>,
    /// Stores the event once, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexSpec>,
    /// Changes one document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upsert: Option<UpsertSpec>,
    /// Adds to counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountSpec>,
    /// Adds to a set of distinct members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<UniqueSpec>,
    /// Finishes events early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
    /// Leaves values in the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetSpec>,
    /// Writes to a topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub produce: Option<ProduceSpec>,
    /// Calls an HTTP endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSpec>,
    /// Reserved for the archive, which this version does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSpec>,
    /// A stage of the user's own binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomSpec>,
}

/// Stores the event once, by its id; a second record with the same id finishes early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexSpec {
    /// Name of a sink.
    #[schemars(length(min = 1, max = 40))]
    pub sink: String,
    /// Name of the index; `{yyyy-MM-dd}` is the date of the record's timestamp.
    #[schemars(length(min = 1, max = 100))]
    pub index: String,
    /// CEL; id of the event.
    #[schemars(length(min = 1, max = 2048))]
    pub id: String,
}

/// Changes one document, creating it when missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpsertSpec {
    /// Name of a sink.
    #[schemars(length(min = 1, max = 40))]
    pub sink: String,
    /// Collection of the document.
    #[schemars(length(min = 1, max = 100))]
    pub collection: String,
    /// CEL; id of the document. Inc and Push need the pipeline's key here.
    #[schemars(length(min = 1, max = 2048))]
    pub id: String,
    /// In the order written.
    #[schemars(length(min = 1, max = 64))]
    pub changes: Vec<ChangeSpec>,
    /// Context field that receives the document as it is after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub returning: Option<String>,
}

/// One change to a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeSpec {
    /// How.
    pub operator: Operator,
    /// Which field; dots descend.
    #[schemars(length(min = 1, max = 200))]
    pub field: String,
    /// CEL; the operand. None with Unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub value: Option<String>,
    /// CEL; the change is left out unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub when: Option<String>,
}

/// Adds to the counters of one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CountSpec {
    /// Name of a sink.
    #[schemars(length(min = 1, max = 40))]
    pub sink: String,
    /// Collection of the counters.
    #[schemars(length(min = 1, max = 100))]
    pub collection: String,
    /// CEL; id of the counters' document.
    #[schemars(length(min = 1, max = 2048))]
    pub id: String,
    /// What is added.
    #[schemars(length(min = 1, max = 32))]
    pub amounts: Vec<AmountSpec>,
    /// Where the counters of a redis sink are written to; required with redis, none otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush: Option<FlushSpec>,
}

/// Where counters are written to, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlushSpec {
    /// Name of an elasticsearch or mongodb sink.
    #[schemars(length(min = 1, max = 40))]
    pub sink: String,
    /// Time between two flushes. 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub interval_seconds: Option<u32>,
    /// Counters read at once. 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch_keys: Option<u32>,
}

/// What is added to one counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AmountSpec {
    /// The counter.
    #[schemars(length(min = 1, max = 200))]
    pub field: String,
    /// CEL; a signed integer.
    #[schemars(length(min = 1, max = 2048))]
    pub value: String,
    /// CEL; nothing is added unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub when: Option<String>,
}

/// Adds a member to a set of distinct members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UniqueSpec {
    /// Name of a sink.
    #[schemars(length(min = 1, max = 40))]
    pub sink: String,
    /// CEL; name of the set.
    #[schemars(length(min = 1, max = 2048))]
    pub set: String,
    /// CEL; the member.
    #[schemars(length(min = 1, max = 2048))]
    pub member: String,
    /// Calendar window in UTC after which a member counts again.
    pub window: Window,
}

/// Finishes events early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterSpec {
    /// CEL; the event goes on when it is true.
    #[schemars(length(min = 1, max = 2048))]
    pub keep: String,
}

/// Leaves values in the context, for later stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetSpec {
    /// In the order written; a later one sees the earlier ones.
    #[schemars(length(min = 1, max = 32))]
    pub fields: Vec<SetFieldSpec>,
}

/// One value left in the context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetFieldSpec {
    /// Read as `context.name`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// CEL; the value.
    #[schemars(length(min = 1, max = 2048))]
    pub value: String,
}

/// Writes one record to a topic of the same brokers, provenance in its headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProduceSpec {
    /// Not a topic of the source.
    #[schemars(length(min = 1, max = 249))]
    pub topic: String,
    /// CEL; the record's own key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub key: Option<String>,
    /// CEL; the record's own value when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub value: Option<String>,
    /// Added behind the provenance headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<HeaderSpec>,
}

/// A header of a produced record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderSpec {
    /// Its name; none that starts with `penstock-`.
    #[schemars(length(min = 1, max = 249))]
    pub name: String,
    /// CEL; text.
    #[schemars(length(min = 1, max = 2048))]
    pub value: String,
}

/// Calls an HTTP endpoint, provenance in its headers and as its idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpSpec {
    /// Such as https://hooks:8443/leads.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Post or Put.
    pub method: HttpMethod,
    /// CEL; sent as JSON. The record's own value when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub body: Option<String>,
    /// Added to the stage's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<HttpHeaderSpec>,
    /// Its key token is sent as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Deadline of one call. 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: Option<u32>,
    /// Context field that receives the JSON of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub returning: Option<String>,
}

/// A header of an HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpHeaderSpec {
    /// Its name; none that the stage sets itself.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// CEL; text.
    #[schemars(length(min = 1, max = 2048))]
    pub value: String,
}

/// Reserved for the archive, which this version does not have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveSpec {}

/// A stage of the user's own binary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomSpec {
    /// Under which the binary registered it.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Handed over as it is; at most 16 KiB of JSON.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
}
