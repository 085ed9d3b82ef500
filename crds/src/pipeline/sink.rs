//! The sinks of a validated pipeline.
//! Layer: core

use std::{path::PathBuf, time::Duration};

use super::SinkTls;
use crate::{
    names::{Address, BaseUrl, DatabaseName, ReplicaSetName, SecretName, SinkName},
    pipeline::StageKind,
};

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
    /// Deadline of one operation, where the stage has none of its own.
    pub timeout: Duration,
    /// Operations under way at once; `None` is derived.
    pub concurrency: Option<u32>,
    /// What it is.
    pub body: SinkBody,
}

/// What a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkBody {
    /// Elasticsearch or OpenSearch.
    Elasticsearch(ElasticsearchSink),
    /// MongoDB.
    Mongodb(MongodbSink),
    /// Redis.
    Redis(RedisSink),
    /// A SQLite file in the processor's process: local runs, demo, tests.
    Embedded {
        /// The file; relative to the directory the processor is started in.
        path: PathBuf,
    },
}

/// Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticsearchSink {
    /// At least one; all https when `tls` is there.
    pub urls: Vec<BaseUrl>,
    /// Secret with `apiKey`, or with `username` and `password`.
    pub secret: Option<SecretName>,
    /// Whom to trust, with https.
    pub tls: Option<SinkTls>,
}

/// MongoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MongodbSink {
    /// At least one.
    pub hosts: Vec<Address>,
    /// Database of the collections.
    pub database: DatabaseName,
    /// Name of the replica set.
    pub replica_set: Option<ReplicaSetName>,
    /// Database of the user; `None` is admin.
    pub auth_source: Option<DatabaseName>,
    /// Secret with `username` and `password`.
    pub secret: Option<SecretName>,
    /// `None` is plain text.
    pub tls: Option<SinkTls>,
}

/// Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSink {
    /// The server.
    pub address: Address,
    /// 0 to 15.
    pub database: u8,
    /// Secret with `password`, and `username` where there is one.
    pub secret: Option<SecretName>,
    /// `None` is plain text.
    pub tls: Option<SinkTls>,
}

impl SinkBody {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> SinkKind {
        match self {
            Self::Elasticsearch(_) => SinkKind::Elasticsearch,
            Self::Mongodb(_) => SinkKind::Mongodb,
            Self::Redis(_) => SinkKind::Redis,
            Self::Embedded { .. } => SinkKind::Embedded,
        }
    }

    /// The Secrets it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        let (secret, tls) = match self {
            Self::Elasticsearch(own) => (&own.secret, &own.tls),
            Self::Mongodb(own) => (&own.secret, &own.tls),
            Self::Redis(own) => (&own.secret, &own.tls),
            Self::Embedded { .. } => (&None, &None),
        };
        let authority = tls.iter().flat_map(|tls| &tls.authority);
        secret.iter().chain(authority.map(|file| &file.secret))
    }
}

/// Kinds of sink.
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

    /// Deadline of one operation when the object names none.
    #[must_use]
    pub fn default_timeout(self) -> Duration {
        match self {
            Self::Elasticsearch => Duration::from_secs(30),
            Self::Mongodb | Self::Embedded => Duration::from_secs(15),
            Self::Redis => Duration::from_secs(5),
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
            StageKind::Filter
            | StageKind::Set
            | StageKind::Produce
            | StageKind::Http
            | StageKind::Custom => false,
        }
    }

    /// Whether counters can be flushed to it.
    #[must_use]
    pub fn takes_flushes(self) -> bool {
        matches!(self, Self::Elasticsearch | Self::Mongodb)
    }
}
