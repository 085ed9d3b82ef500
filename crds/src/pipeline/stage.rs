//! The stages of a validated pipeline.
//! Layer: core

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    expression::Expression,
    index_pattern::IndexPattern,
    names::{CollectionName, ContextName, CustomName, FieldName, HeaderName, StageName, TopicName},
    pipeline::SinkId,
};

/// One step on the way of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Unique in the pipeline.
    pub name: StageName,
    /// The stage is skipped unless this is true.
    pub when: Option<Expression>,
    /// Whether the key's next record waits for it.
    pub mode: Mode,
    /// Deadline of each of its operations; `None` is the sink's own.
    pub deadline: Option<Duration>,
    /// What it does.
    pub body: StageBody,
}

impl Stage {
    /// Every expression of the stage, its condition first.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.when.iter().chain(self.body.expressions())
    }

    /// Whether it looks into the decoded body: `index` stores it, `custom` may do anything.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        let whole = matches!(self.body, StageBody::Index(_) | StageBody::Custom(_));
        whole
            || self
                .expressions()
                .any(|expression| expression.roots().event)
    }
}

/// Whether the key's next record waits for a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// It waits.
    #[default]
    Inline,
    /// It does not: the event goes on through a queue of its own, in the same order per key.
    Detached,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StageBody {
    /// Stores the event once, by its id.
    Index(IndexStage),
    /// Changes one document.
    Upsert(UpsertStage),
    /// Adds to counters.
    Count(CountStage),
    /// Adds to a set of distinct members.
    Unique(UniqueStage),
    /// Finishes events early.
    Filter(FilterStage),
    /// Leaves values in the context.
    Set(SetStage),
    /// Writes to a topic.
    Produce(ProduceStage),
    /// A stage of the user's own binary.
    Custom(CustomStage),
}

/// [`StageBody`] without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StageKind {
    /// `index`
    Index,
    /// `upsert`
    Upsert,
    /// `count`
    Count,
    /// `unique`
    Unique,
    /// `filter`
    Filter,
    /// `set`
    Set,
    /// `produce`
    Produce,
    /// `custom`
    Custom,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Index,
        Self::Upsert,
        Self::Count,
        Self::Unique,
        Self::Filter,
        Self::Set,
        Self::Produce,
        Self::Custom,
    ];

    /// The field of the object.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Upsert => "upsert",
            Self::Count => "count",
            Self::Unique => "unique",
            Self::Filter => "filter",
            Self::Set => "set",
            Self::Produce => "produce",
            Self::Custom => "custom",
        }
    }
}

impl StageBody {
    /// Which body it is.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        match self {
            Self::Index(_) => StageKind::Index,
            Self::Upsert(_) => StageKind::Upsert,
            Self::Count(_) => StageKind::Count,
            Self::Unique(_) => StageKind::Unique,
            Self::Filter(_) => StageKind::Filter,
            Self::Set(_) => StageKind::Set,
            Self::Produce(_) => StageKind::Produce,
            Self::Custom(_) => StageKind::Custom,
        }
    }

    /// The sink it writes to.
    #[must_use]
    pub fn sink(&self) -> Option<SinkId> {
        match self {
            Self::Index(stage) => Some(stage.sink),
            Self::Upsert(stage) => Some(stage.sink),
            Self::Count(stage) => Some(stage.sink),
            Self::Unique(stage) => Some(stage.sink),
            Self::Filter(_) | Self::Set(_) | Self::Produce(_) | Self::Custom(_) => None,
        }
    }

    fn expressions(&self) -> Box<dyn Iterator<Item = &Expression> + '_> {
        match self {
            Self::Index(stage) => Box::new(std::iter::once(&stage.id)),
            Self::Upsert(stage) => Box::new(
                std::iter::once(&stage.id).chain(
                    stage
                        .changes
                        .iter()
                        .flat_map(|c| c.value.iter().chain(&c.when)),
                ),
            ),
            Self::Count(stage) => Box::new(
                std::iter::once(&stage.id).chain(
                    stage
                        .amounts
                        .iter()
                        .flat_map(|a| std::iter::once(&a.value).chain(&a.when)),
                ),
            ),
            Self::Unique(stage) => Box::new([&stage.set, &stage.member].into_iter()),
            Self::Filter(stage) => Box::new(std::iter::once(&stage.keep)),
            Self::Set(stage) => Box::new(stage.fields.iter().map(|field| &field.value)),
            Self::Produce(stage) => Box::new(
                stage
                    .key
                    .iter()
                    .chain(&stage.value)
                    .chain(stage.headers.iter().map(|h| &h.value)),
            ),
            Self::Custom(_) => Box::new(std::iter::empty()),
        }
    }
}

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

/// A stage of the user's own binary.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomStage {
    /// Under which the binary registered it.
    pub name: CustomName,
    /// Handed over as it is.
    pub config: serde_json::Value,
}
