//! The stages of a validated pipeline.
//! Layer: core

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{
    CountStage, CustomStage, FilterStage, HttpStage, IndexStage, ProduceStage, SetStage,
    UniqueStage, UpsertStage,
};
use crate::{expression::Expression, names::StageName, pipeline::SinkId};

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
    /// Calls an HTTP endpoint.
    Http(HttpStage),
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
    /// `http`
    Http,
    /// `custom`
    Custom,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Index,
        Self::Upsert,
        Self::Count,
        Self::Unique,
        Self::Filter,
        Self::Set,
        Self::Produce,
        Self::Http,
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
            Self::Http => "http",
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
            Self::Http(_) => StageKind::Http,
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
            Self::Filter(_) | Self::Set(_) | Self::Produce(_) | Self::Http(_) | Self::Custom(_) => {
                None
            }
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
            Self::Http(stage) => Box::new(
                stage
                    .body
                    .iter()
                    .chain(stage.headers.iter().map(|h| &h.value)),
            ),
            Self::Custom(_) => Box::new(std::iter::empty()),
        }
    }
}
