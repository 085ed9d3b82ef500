//! What a pipeline asks of the memory law: one mapping for processor, operator and command line.
//! Layer: core

use penstock_crds::pipeline::{self, SinkBody, StageBody, ValidatedPipeline};
use penstock_sizing::{
    Bytes, CacheDemand, CacheKind, Codec, Demand, PerPool, Pool, SinkDemand, SinkKind,
};

/// What is known beside the object: observed, or said on the command line. It goes before what the
/// object declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Partitions of all source topics together.
    pub partitions: Option<u32>,
    /// Brokers that lead them.
    pub brokers: Option<u32>,
    /// Whole cores that the processor may use, rounded up; `None` is the object's CPU limit, else
    /// its request.
    pub cores: Option<u32>,
}

/// Where neither object nor observation says: what a small cluster has.
const ASSUMED_PARTITIONS_PER_TOPIC: u32 = 12;
const ASSUMED_BROKERS: u32 = 3;
const ASSUMED_CORES: u32 = 2;

/// Where the codec is unknown, the costliest one at a ratio that JSON seldom exceeds: a wrong guess
/// then costs memory that is not used, not a kill.
const ASSUMED_CODEC: Codec = Codec::Zstd;
const ASSUMED_COMPRESSION_PERCENT: u32 = 500;

/// Heap bytes per byte of JSON: what the generic form of a decoded body takes at most beside the
/// estimate that is made of each record before it is parsed.
const PARSE_FACTOR: u32 = 16;

/// Name of the producer among the sinks of a plan; no sink of an object can have it, for names
/// have no slash.
pub const PRODUCER: &str = "kafka/producer";

/// The demand of a pipeline; the limit is not part of it.
#[must_use]
pub fn demand(pipeline: &ValidatedPipeline, facts: &Facts) -> Demand {
    let law = Demand::default();
    let source = &pipeline.source;
    let declared = &source.facts;
    let (codec, compression_percent) = compression(declared);
    let largest_message = Bytes(source.max_message_bytes);
    Demand {
        partitions: facts
            .partitions
            .or(declared.partitions)
            .unwrap_or_else(|| assumed_partitions(pipeline)),
        brokers: facts
            .brokers
            .or(declared.brokers)
            .unwrap_or(ASSUMED_BROKERS),
        cores: facts
            .cores
            .or_else(|| declared_cores(pipeline))
            .unwrap_or(ASSUMED_CORES),
        codec,
        compression_percent,
        largest_message,
        largest_batch: declared.largest_batch_bytes.map_or(largest_message, Bytes),
        typical_value: declared
            .typical_value_bytes
            .map_or(law.typical_value, Bytes),
        parse_factor: if pipeline.reads_body() {
            PARSE_FACTOR
        } else {
            1
        },
        sinks: sinks(pipeline),
        caches: caches(pipeline),
        window: pipeline.memory.window.unwrap_or(law.window),
        workers: pipeline.memory.workers,
        weights: weights(pipeline, law.weights),
        overrides: overrides(pipeline),
        load: law.load,
        purge_decay: law.purge_decay,
    }
}

fn assumed_partitions(pipeline: &ValidatedPipeline) -> u32 {
    let topics = u32::try_from(pipeline.source.topics.len()).unwrap_or(u32::MAX);
    topics.saturating_mul(ASSUMED_PARTITIONS_PER_TOPIC)
}

fn declared_cores(pipeline: &ValidatedPipeline) -> Option<u32> {
    let resources = &pipeline.resources;
    let millis = resources.cpu_limit.or(resources.cpu_request)?.millicores();
    Some(
        u32::try_from(millis.div_ceil(1_000))
            .unwrap_or(u32::MAX)
            .max(1),
    )
}

fn compression(declared: &pipeline::Facts) -> (Codec, u32) {
    let Some(codec) = declared.codec else {
        let percent = declared
            .compression_percent
            .unwrap_or(ASSUMED_COMPRESSION_PERCENT);
        return (ASSUMED_CODEC, percent);
    };
    match codec {
        pipeline::Codec::None => (Codec::None, declared.compression_percent.unwrap_or(100)),
        pipeline::Codec::Gzip => (Codec::Gzip, compressed(declared)),
        pipeline::Codec::Lz4 => (Codec::Lz4, compressed(declared)),
        pipeline::Codec::Zstd => (Codec::Zstd, compressed(declared)),
    }
}

fn compressed(declared: &pipeline::Facts) -> u32 {
    declared
        .compression_percent
        .unwrap_or(ASSUMED_COMPRESSION_PERCENT)
}

/// The declared sinks in their order, then the endpoints of `http` stages, then the producer where
/// one is needed.
fn sinks(pipeline: &ValidatedPipeline) -> Vec<SinkDemand> {
    let declared = pipeline.sinks.iter().map(|sink| {
        let kind = match &sink.body {
            SinkBody::Elasticsearch(_) => SinkKind::Elasticsearch,
            SinkBody::Mongodb(_) => SinkKind::Mongodb,
            SinkBody::Redis(_) => SinkKind::Redis,
            SinkBody::Embedded { .. } => SinkKind::Embedded,
        };
        SinkDemand {
            name: sink.name.to_string(),
            kind,
            in_flight: 1,
        }
    });
    let mut stages = pipeline.stages.iter();
    let producer = SinkDemand {
        name: PRODUCER.to_owned(),
        kind: match stages.any(|stage| matches!(stage.body, StageBody::Produce(_))) {
            true => SinkKind::Producer,
            false => SinkKind::Letters,
        },
        in_flight: 1,
    };
    let endpoints = pipeline
        .stages
        .iter()
        .filter_map(|stage| match &stage.body {
            StageBody::Http(_) => Some(SinkDemand {
                name: endpoint(stage.name.as_str()),
                kind: SinkKind::Http,
                in_flight: 1,
            }),
            _ => None,
        });
    declared
        .chain(endpoints)
        .chain(pipeline.produces().then_some(producer))
        .collect()
}

/// Name of an `http` stage's endpoint among the sinks of a plan; no sink of an object can have it.
#[must_use]
pub fn endpoint(stage: &str) -> String {
    format!("http/{stage}")
}

/// One fingerprint table for each `unique` stage.
fn caches(pipeline: &ValidatedPipeline) -> Vec<CacheDemand> {
    let unique = pipeline
        .stages
        .iter()
        .filter(|s| matches!(s.body, StageBody::Unique(_)));
    unique
        .map(|stage| CacheDemand {
            name: stage.name.to_string(),
            kind: CacheKind::Fingerprint,
        })
        .collect()
}

fn weights(pipeline: &ValidatedPipeline, law: PerPool<u32>) -> PerPool<u32> {
    let wished = &pipeline.memory.weights;
    PerPool::from_fn(|pool| of(wished, pool).copied().unwrap_or(law[pool]))
}

fn overrides(pipeline: &ValidatedPipeline) -> PerPool<Option<Bytes>> {
    let wished = &pipeline.memory.overrides;
    PerPool::from_fn(|pool| of(wished, pool).map(|quantity| Bytes(quantity.bytes())))
}

fn of<T>(wished: &pipeline::PerPool<T>, pool: Pool) -> Option<&T> {
    match pool {
        Pool::Kafka => wished.kafka.as_ref(),
        Pool::Dispatcher => wished.dispatcher.as_ref(),
        Pool::Active => wished.active.as_ref(),
        Pool::Sinks => wished.sinks.as_ref(),
        Pool::Caches => wished.caches.as_ref(),
    }
}

#[cfg(test)]
mod tests;
