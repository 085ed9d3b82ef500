//! What each kind of stage of a validated pipeline does.
//! Layer: core

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    expression::Expression,
    index_pattern::IndexPattern,
    names::{
        CollectionName, ContextName, CustomName, EndpointUrl, FieldName, HeaderName,
        HttpHeaderName, SecretName, TopicName,
    },
    pipeline::SinkId,
};

/// Stores the decoded body once, by its id.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexStage {
    /// Where.
    pub sink: SinkId,
    /// Name of the index, with dates of the record's timestamp.
    pub index: IndexPattern,
    /// Id of the event: text or integer. A second record with the same id finishes early.
    pub id: Expression,
}

/// Changes one document, creating it when missing.
#[derive(Clone, Debug, PartialEq)]
pub struct UpsertStage {
    /// Where.
    pub sink: SinkId,
    /// Collection of the document.
    pub collection: CollectionName,
    /// Id of the document. A record for which it is null or missing is an error of the record.
    pub id: Expression,
    /// In the order written; at least one.
    pub changes: Vec<Change>,
    /// How a repeated record is told from a new one.
    pub guard: Guard,
    /// Context field that receives the document as it is after the change.
    pub returning: Option<ContextName>,
}

/// How an upsert tells a repeated record from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The document's id is the pipeline's key and records of a key are in order: the change is
    /// applied only above the last applied offset.
    Offset,
    /// Any other id: the last writer wins, and no change may depend on being applied once.
    LastWriter,
}

/// One change to a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which field.
    pub field: FieldName,
    /// How.
    pub operator: Operator,
    /// Operand; `None` exactly with [`Operator::Unset`].
    pub value: Option<Expression>,
    /// The change is left out unless this is true.
    pub when: Option<Expression>,
}

/// The operators of an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// Assign.
    Set,
    /// Assign only when the document is created.
    SetOnInsert,
    /// Add an integer.
    Inc,
    /// Keep the smaller.
    Min,
    /// Keep the larger.
    Max,
    /// Append to an array.
    Push,
    /// Append to an array unless present.
    AddToSet,
    /// Remove the field; takes no value.
    Unset,
}

impl Operator {
    /// Whether applying it twice differs from applying it once.
    #[must_use]
    pub fn accumulates(self) -> bool {
        matches!(self, Self::Inc | Self::Push)
    }
}

/// Adds to the counters of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct CountStage {
    /// Where.
    pub sink: SinkId,
    /// Collection of the counters.
    pub collection: CollectionName,
    /// Id of the counters' document.
    pub id: Expression,
    /// At least one, all fields different.
    pub amounts: Vec<Amount>,
    /// Where the counters are written to; there exactly with a redis sink.
    pub flush: Option<Flush>,
}

/// Where counters are written to, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Elasticsearch or MongoDB.
    pub sink: SinkId,
    /// Time between two flushes.
    pub interval: Duration,
    /// Counters read at once; 1 or more.
    pub batch_keys: u32,
}

/// What is added to one counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount {
    /// The counter.
    pub field: FieldName,
    /// A signed integer.
    pub value: Expression,
    /// Nothing is added unless this is true.
    pub when: Option<Expression>,
}

/// Adds a member to a set of distinct members.
#[derive(Clone, Debug, PartialEq)]
pub struct UniqueStage {
    /// Where.
    pub sink: SinkId,
    /// Name of the set, such as the shop.
    pub set: Expression,
    /// The member, such as the visitor.
    pub member: Expression,
    /// After how long a member counts again, by the record's timestamp.
    pub window: Window,
}

/// A calendar window in UTC, by the record's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// An ISO 8601 week, Monday first.
    Week,
    /// A month.
    Month,
}

/// Finishes events early.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterStage {
    /// The event goes on when this is true.
    pub keep: Expression,
}

/// Leaves values in the context.
#[derive(Clone, Debug, PartialEq)]
pub struct SetStage {
    /// In the order written; a later one sees the earlier ones. At least one, all different.
    pub fields: Vec<SetField>,
}

/// One value left in the context.
#[derive(Clone, Debug, PartialEq)]
pub struct SetField {
    /// Read as `context.name`.
    pub name: ContextName,
    /// The value.
    pub value: Expression,
}

/// Writes one record to a topic of the same brokers, provenance in its headers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProduceStage {
    /// Not a topic of the source.
    pub topic: TopicName,
    /// `None` keeps the record's key, byte for byte.
    pub key: Option<Expression>,
    /// `None` keeps the record's value, byte for byte.
    pub value: Option<Expression>,
    /// Added behind the provenance headers.
    pub headers: Vec<ProducedHeader>,
}

/// A header of a produced record.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducedHeader {
    /// Its name; none that starts with `penstock-`.
    pub name: HeaderName,
    /// Text.
    pub value: Expression,
}

/// Calls an HTTP endpoint, provenance in its headers and as its idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpStage {
    /// What is called.
    pub url: EndpointUrl,
    /// How.
    pub method: HttpMethod,
    /// Sent as JSON; `None` is the record's value, byte for byte.
    pub body: Option<Expression>,
    /// Added to the stage's own.
    pub headers: Vec<RequestHeader>,
    /// Secret whose `token` is sent as a bearer token.
    pub secret: Option<SecretName>,
    /// Deadline of one call, where the stage has none.
    pub timeout: Duration,
    /// Context field that receives the JSON of the response.
    pub returning: Option<ContextName>,
}

/// Methods of an `http` stage: those that may be repeated under an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// A header of an HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestHeader {
    /// Its name; none that the stage sets itself.
    pub name: HttpHeaderName,
    /// Text.
    pub value: Expression,
}

/// A stage of the user's own binary.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomStage {
    /// Under which the binary registered it.
    pub name: CustomName,
    /// Handed over as it is.
    pub config: serde_json::Value,
}
