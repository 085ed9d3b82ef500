//! The sinks of a validated pipeline.
//! Layer: core

use std::path::PathBuf;

use crate::{names::SinkName, pipeline::StageKind};

/// Index into [`crate::pipeline::ValidatedPipeline::sinks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SinkId(pub u16);

impl SinkId {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A declared external system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Unique in the pipeline.
    pub name: SinkName,
    /// What it is.
    pub body: SinkBody,
}

/// What a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkBody {
    /// A SQLite file in the processor's process: local runs, demo, tests.
    Embedded {
        /// The file; relative to the directory the processor is started in.
        path: PathBuf,
    },
}

impl SinkBody {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> SinkKind {
        match self {
            Self::Embedded { .. } => SinkKind::Embedded,
        }
    }
}

/// Kinds of sink, those of later versions included: they are refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
    /// MongoDB.
    Mongodb,
    /// Redis.
    Redis,
    /// A SQLite file in the processor's process.
    Embedded,
}

impl SinkKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Elasticsearch,
        Self::Mongodb,
        Self::Redis,
        Self::Embedded,
    ];
    /// The kinds that this version has.
    pub const BUILT: [Self; 1] = [Self::Embedded];

    /// The field of the object.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Mongodb => "mongodb",
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }

    /// Whether a stage of this kind can write to it.
    #[must_use]
    pub fn serves(self, stage: StageKind) -> bool {
        match stage {
            StageKind::Index => {
                matches!(self, Self::Elasticsearch | Self::Mongodb | Self::Embedded)
            }
            StageKind::Upsert => matches!(self, Self::Mongodb | Self::Embedded),
            StageKind::Count | StageKind::Unique => matches!(self, Self::Redis | Self::Embedded),
            StageKind::Filter | StageKind::Set | StageKind::Produce | StageKind::Custom => false,
        }
    }
}
