//! What a pipeline asks of the memory of one pod; everything the law needs beside the limit.
//! Layer: core

use crate::{
    bytes::Bytes,
    client::{Codec, PurgeDecay},
    pool::{PerPool, Pool},
    refusal::Fault,
};

/// The facts and wishes that a plan is made from. [`Default`] is a small pipeline without sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Partitions this pod may get: all of them when the group shrinks. 1 to 100,000.
    pub partitions: u32,
    /// Brokers that lead them. 1 to 1,000.
    pub brokers: u32,
    /// Cores from the CPU limit or request, never the host's. 1 to 1,024.
    pub cores: u32,
    /// Codec of the topic's batches; the costliest when mixed.
    pub codec: Codec,
    /// ρ: value bytes per compressed byte, in percent, largest seen. 100 to 100,000.
    pub compression_percent: u32,
    /// Largest payload (value, key and headers as stored) the dispatcher admits. 1 to 1e9.
    pub largest_message: Bytes,
    /// b: largest batch as stored by the broker, compressed. 1 to 1e9.
    pub largest_batch: Bytes,
    /// v: smallest typical value. 1 to 1e9.
    pub typical_value: Bytes,
    /// Heap bytes per byte of JSON when parsed, at most: 4 for typed, 16 for generic forms. 1 to
    /// 100.
    pub parse_factor: u32,
    /// Sinks, the producer of `produce` stages and dead letters included. At most 64.
    pub sinks: Vec<SinkDemand>,
    /// Caches of the stages that use one. At most 64.
    pub caches: Vec<CacheDemand>,
    /// Records per partition that may be repeated after a crash. 1 to 65,536.
    pub window: u32,
    /// Expected load of one pod, when known: caps the records in flight near Little's law.
    pub load: Option<Load>,
    /// Workers instead of the derived number. 1 to 4,096.
    pub workers: Option<u32>,
    /// When the allocator returns freed pages.
    pub purge_decay: PurgeDecay,
    /// Shares of what the minimums leave. Each at most 1,000.
    pub weights: PerPool<u32>,
    /// Pools pinned to a size.
    pub overrides: PerPool<Option<Bytes>>,
}

/// Expected load of one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Records a second. At most 100,000,000.
    pub records_per_second: u64,
    /// Milliseconds from admission to completion, 99th percentile. At most 86,400,000.
    pub stage_millis: u64,
}

impl Load {
    /// Four times what is in flight on average, at least 512: more would only be repeated after a
    /// crash.
    pub(crate) fn in_flight(self) -> u64 {
        (self.records_per_second * self.stage_millis)
            .div_ceil(250)
            .max(512)
    }
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDemand {
    /// As in `sinks`.
    pub name: String,
    /// What its bytes are made of.
    pub kind: SinkKind,
    /// Batches in flight beside the one that fills. 1 to 16; embedded and producer have one.
    pub in_flight: u32,
}

/// Kinds of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Elasticsearch or OpenSearch, by bulk requests.
    Elasticsearch,
    /// MongoDB.
    Mongodb,
    /// Redis.
    Redis,
    /// An HTTP endpoint.
    Http,
    /// A SQLite file in this process.
    Embedded,
    /// The Kafka producer of `produce` stages, and of dead letters beside them.
    Producer,
    /// A Kafka producer of dead letters alone.
    Letters,
}

/// One cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheDemand {
    /// Name of the stage.
    pub name: String,
    /// What an entry costs.
    pub kind: CacheKind,
}

/// Kinds of cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// Flat table of fingerprints: 16 bytes an entry, measured.
    Fingerprint,
    /// Concurrent map with 16-byte keys: 128 bytes an entry, margin included.
    Keyed,
}

impl CacheKind {
    /// Resident bytes of one entry.
    #[must_use]
    pub fn entry_bytes(self) -> u64 {
        match self {
            Self::Fingerprint => 16,
            Self::Keyed => 128,
        }
    }
}

/// Heap bytes per byte of JSON that ordinary documents take when parsed, whatever the form.
const ORDINARY: u32 = 4;

/// Each cache has at least this.
pub(crate) const CACHE_FLOOR: Bytes = Bytes::MIB;

/// Kafka caps a record, and the client a batch, at 1 GB.
const KAFKA_CEILING: u64 = 1_000_000_000;

impl Default for Demand {
    fn default() -> Self {
        Self {
            partitions: 1,
            brokers: 1,
            cores: 1,
            codec: Codec::None,
            compression_percent: 100,
            largest_message: Bytes::MIB,
            largest_batch: Bytes::MIB,
            typical_value: Bytes::KIB,
            parse_factor: 16,
            sinks: Vec::new(),
            caches: Vec::new(),
            window: 4096,
            load: None,
            workers: None,
            purge_decay: PurgeDecay::default(),
            weights: PerPool([20, 25, 20, 15, 20]),
            overrides: PerPool::default(),
        }
    }
}

impl Demand {
    /// Brokers that this pod fetches from: never more than partitions.
    pub(crate) fn leaders(&self) -> u32 {
        self.brokers.min(self.partitions)
    }

    /// The largest batch, which holds at least the largest message as compressed.
    pub(crate) fn batch(&self) -> Bytes {
        let message = self
            .largest_message
            .scaled_up(100, self.compression_percent.into());
        self.largest_batch.max(message)
    }

    /// X₀: the largest message must be parseable alone.
    pub(crate) fn largest_parsed(&self) -> Bytes {
        self.largest_message.scaled_up(self.parse_factor.into(), 1)
    }

    /// Bytes that a typical record needs parsed, by what ordinary documents take and not by the
    /// most that the law allows for: each is estimated before it is parsed, so a worker too many
    /// only waits. Below 4 KiB the fixed cost of a worker dominates.
    pub(crate) fn typical_parsed(&self) -> Bytes {
        self.typical_value
            .max(Bytes::kib(4))
            .scaled_up(self.parse_factor.min(ORDINARY).into(), 1)
    }

    /// C₀.
    pub(crate) fn smallest_caches(&self) -> Bytes {
        CACHE_FLOOR.scaled_up(self.caches.len() as u64, 1)
    }

    /// Faults that no limit would cure.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let load = self.load.unwrap_or_default();
        let numbers = [
            ("partitions", self.partitions.into(), 1, 100_000),
            ("brokers", self.brokers.into(), 1, 1000),
            ("cores", self.cores.into(), 1, 1024),
            (
                "source.facts.compressionPercent",
                self.compression_percent.into(),
                100,
                100_000,
            ),
            (
                "source.maxMessageBytes",
                self.largest_message.0,
                1,
                KAFKA_CEILING,
            ),
            (
                "source.facts.largestBatchBytes",
                self.largest_batch.0,
                1,
                KAFKA_CEILING,
            ),
            (
                "source.facts.typicalValueBytes",
                self.typical_value.0,
                1,
                KAFKA_CEILING,
            ),
            ("parseFactor", self.parse_factor.into(), 1, 100),
            ("sinks", self.sinks.len() as u64, 0, 64),
            ("caches", self.caches.len() as u64, 0, 64),
            ("memory.overrides.window", self.window.into(), 1, 65_536),
            (
                "memory.overrides.workers",
                self.workers.unwrap_or(1).into(),
                1,
                4096,
            ),
            (
                "load.recordsPerSecond",
                load.records_per_second,
                0,
                100_000_000,
            ),
            ("load.stageMillis", load.stage_millis, 0, 86_400_000),
        ];
        let sinks = self
            .sinks
            .iter()
            .map(|sink| ("sinks.inFlight", sink.in_flight.into(), 1, 16));
        let weights = Pool::ALL.map(|pool| ("memory.weights", self.weights[pool].into(), 0, 1000));
        numbers
            .into_iter()
            .chain(sinks)
            .chain(weights)
            .try_for_each(in_range)
    }
}

fn in_range((field, value, least, most): (&'static str, u64, u64, u64)) -> Result<(), Fault> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Fault::new(
        field,
        value.to_string(),
        format!("{least} to {most}"),
    ))
}
