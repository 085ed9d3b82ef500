//! The validated pipeline: the only form that processor, operator and command line read.
//! Layer: core

mod body;
mod fleet;
mod security;
mod sink;
mod source;
mod stage;

use std::{collections::BTreeSet, time::Duration};

pub use self::{
    body::{
        Amount, Change, CountStage, CustomStage, FilterStage, Flush, Guard, HttpMethod, HttpStage,
        IndexStage, Operator, ProduceStage, ProducedHeader, RequestHeader, SetField, SetStage,
        UniqueStage, UpsertStage, Window,
    },
    fleet::{
        Autoscaling, Fleet, PodOptions, ScalingMode, State, TaintEffect, Toleration,
        TolerationOperator, TopologySpread,
    },
    security::{Auth, Mechanism, SecretFile, SinkTls, Tls},
    sink::{ElasticsearchSink, MongodbSink, RedisSink, Sink, SinkBody, SinkId, SinkKind},
    source::{ClientTuning, Codec, Facts, GroupProtocol, KeySource, NullKeys, Source, Start},
    stage::{Mode, Stage, StageBody, StageKind},
};
use crate::{
    names::{Namespace, PipelineName, SecretName, TopicName},
    quantity::{Cpu, Quantity},
};

/// A pipeline without faults. Only parsing makes one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedPipeline {
    /// `metadata.name`.
    pub name: PipelineName,
    /// `metadata.namespace`; `default` when the object does not say.
    pub namespace: Namespace,
    /// What the fleet is asked to do.
    pub state: State,
    /// Where records come from.
    pub source: Source,
    /// What is kept in order.
    pub ordering: Ordering,
    /// What a pod may use.
    pub resources: Resources,
    /// Weights and overrides of the memory law.
    pub memory: Memory,
    /// In the order written, inline stages before detached ones.
    pub stages: Vec<Stage>,
    /// Addressed by [`SinkId`].
    pub sinks: Vec<Sink>,
    /// What happens when a record or a sink fails.
    pub failure: Failure,
    /// Longest time from SIGTERM to the last commit.
    pub drain_timeout: Duration,
    /// What the operator makes of it.
    pub fleet: Fleet,
}

impl ValidatedPipeline {
    /// The sink that a stage was resolved to.
    #[must_use]
    pub fn sink(&self, id: SinkId) -> &Sink {
        &self.sinks[id.index()]
    }

    /// Whether any stage looks into the decoded body; otherwise none needs to be parsed.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.stages.iter().any(Stage::reads_body)
    }

    /// The Secrets that a processor needs as files, each once.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&SecretName> {
        let tls = self.source.tls.iter();
        let authority = tls.clone().flat_map(|tls| &tls.authority);
        let source = authority
            .map(|file| &file.secret)
            .chain(tls.flat_map(|tls| &tls.client_certificate))
            .chain(self.source.auth.iter().map(|auth| &auth.secret));
        let sinks = self.sinks.iter().flat_map(|sink| sink.body.secrets());
        let stages = self.stages.iter().filter_map(|stage| match &stage.body {
            StageBody::Http(http) => http.secret.as_ref(),
            _ => None,
        });
        source.chain(sinks).chain(stages).collect()
    }

    /// Whether a producer is needed: for a `produce` stage or for dead letters.
    #[must_use]
    pub fn produces(&self) -> bool {
        self.failure.dead_letter_topic.is_some()
            || self
                .stages
                .iter()
                .any(|stage| stage.body.kind() == StageKind::Produce)
    }
}

/// What is kept in order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Ordering {
    /// Records of one key of one partition, one after the other; other keys beside them.
    #[default]
    PerKey,
    /// All records of one partition, one after the other.
    PerPartition,
    /// Nothing.
    None,
}

/// What a pod may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// The number that every size is derived from; limit and request.
    pub memory_limit: Quantity,
    /// CPU limit.
    pub cpu_limit: Option<Cpu>,
    /// CPU request.
    pub cpu_request: Option<Cpu>,
}

/// Weights and overrides of the memory law; absent ones are the law's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Shares of what the minimums leave.
    pub weights: PerPool<u32>,
    /// Pools pinned to a size.
    pub overrides: PerPool<Quantity>,
    /// Workers instead of the derived number.
    pub workers: Option<u32>,
    /// Records per partition that may be repeated after a crash, instead of the law's.
    pub window: Option<u32>,
}

/// An optional value for each pool of the memory law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPool<T> {
    /// What the Kafka client prefetches.
    pub kafka: Option<T>,
    /// Records queued or running.
    pub dispatcher: Option<T>,
    /// Parsed events.
    pub active: Option<T>,
    /// Batches of all sinks.
    pub sinks: Option<T>,
    /// Caches.
    pub caches: Option<T>,
}

/// What happens when a record or a sink fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Attempts that a record may consume by its own fault, the first included; 1 or more.
    pub max_attempts: u32,
    /// Pause before the first repeat; doubled each time.
    pub backoff_initial: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// What follows the last attempt.
    pub on_record_error: OnRecordError,
    /// Where dead letters go; always there with `DeadLetterRecord`.
    pub dead_letter_topic: Option<TopicName>,
}

/// What follows the last attempt of a record.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum OnRecordError {
    /// Its key waits; other keys go on until the window is full.
    #[default]
    Block,
    /// It goes to the dead-letter topic and counts as finished once that is acknowledged.
    DeadLetterRecord,
}
