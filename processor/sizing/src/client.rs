//! K: what the Kafka client holds before a record is taken, and the client settings that keep it so.
//! Layer: core
//!
//! `K = δ · [ α (Q + ρ B F') + B F' + τ B ρ b + 1 MB ]`, checked against 676 measured cases on a
//! real broker: one fetch per broker is in flight, decided on the queue before it, and the whole
//! answer is decompressed and queued however large it is.

use crate::{bytes::Bytes, demand::Demand};

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// Inflated twice, exactly.
    Gzip,
    /// Decompressed into a buffer of at least four times the compressed size.
    Lz4,
    /// Decompressed with retries into larger buffers.
    Zstd,
}

/// After how long the allocator returns freed pages to the kernel (`dirty_decay_ms`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PurgeDecay {
    /// At once: K at 1.05 instead of 1.75, but 0.4 to 1.3 µs more CPU per record, about half the
    /// rate. For limits that nothing else fits.
    Immediate,
    /// After one second. The default: prefetch beyond 2 MB buys no rate, so memory spent on
    /// freed pages is cheaper than CPU spent on returning them.
    #[default]
    OneSecond,
}

impl PurgeDecay {
    /// Value of `dirty_decay_ms`.
    #[must_use]
    pub fn millis(self) -> u32 {
        match self {
            Self::Immediate => 0,
            Self::OneSecond => 1000,
        }
    }

    /// δ in percent: 604 of 604 cases within 1.75 at one second, 676 within 1.05 at zero.
    fn percent(self) -> u64 {
        match self {
            Self::Immediate => 105,
            Self::OneSecond => 175,
        }
    }
}

/// Consumer settings that cost memory, under librdkafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// `queued.max.messages.kbytes`, in units of 1000 bytes.
    pub queued_max_messages_kbytes: u64,
    /// `queued.min.messages`: a second stop, set so high that it never binds.
    pub queued_min_messages: u64,
    /// `fetch.max.bytes`, per broker.
    pub fetch_max_bytes: u64,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: u64,
    /// `message.max.bytes`: above `fetch.max.bytes` it would raise that silently.
    pub message_max_bytes: u64,
    /// `receive.message.max.bytes`: zstd fails on batches above a third of it, for ever.
    pub receive_message_max_bytes: u64,
    /// `fetch.queue.backoff.ms`: the default of 1000 costs up to 99 % of the rate.
    pub fetch_queue_backoff_ms: u64,
}

/// The client's own ceiling on `queued.max.messages.kbytes`.
const QUEUE_CEILING_KBYTES: u64 = 2_097_151;
/// The client's own ceiling on `receive.message.max.bytes`.
const RECEIVE_CEILING: u64 = i32::MAX as u64;
/// Prefetch below this starves the dispatcher between two fetches.
const QUEUE_FLOOR: u64 = 500_000;
/// Fetch sizes in order of preference.
const FETCHES: [u64; 5] = [1 << 20, 512 << 10, 256 << 10, 128 << 10, 64 << 10];
/// Partitions that an answer has records of, where there are as many. One that fills the answer
/// alone is worked off alone, and so waits for its own window's commits while the others' are open.
const INTERLEAVED: u64 = 4;
/// Least that is asked of a partition.
const LEAST_OF_A_PARTITION: u64 = 64 << 10;
/// Client-wide remainder, fitted.
const BASE: u64 = 1_000_000;
/// Queue element (a class of 320) and 64 bytes of key, framing and headers.
const PER_MESSAGE: u64 = 384;

/// The constants of the formula for one demand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// α as a fraction.
    alpha: (u128, u128),
    rho_percent: u128,
    /// τ in halves.
    tau_halves: u128,
    brokers: u128,
    batch: u64,
    interleaved: u64,
    delta_percent: u64,
}

impl Client {
    pub(crate) fn of(demand: &Demand) -> Self {
        let rho = u128::from(demand.compression_percent);
        // w = max(1, 4/ρ) for lz4, whose first buffer is four times the compressed size.
        let (w, tau_halves) = match demand.codec {
            Codec::None | Codec::Gzip => ((1, 1), 0),
            Codec::Zstd => ((1, 1), 1),
            Codec::Lz4 => ((rho.max(400), rho), 2),
        };
        let value = u128::from(demand.typical_value.0);
        Self {
            alpha: (w.0 * value + u128::from(PER_MESSAGE) * w.1, w.1 * value),
            rho_percent: rho,
            tau_halves,
            brokers: demand.leaders().into(),
            batch: demand.batch().0,
            interleaved: u64::from(demand.partitions).clamp(1, INTERLEAVED),
            delta_percent: demand.purge_decay.percent(),
        }
    }

    /// The least K that the rule accepts: smallest fetch, smallest queue.
    pub(crate) fn minimum(&self) -> Bytes {
        let fetch = FETCHES[FETCHES.len() - 1];
        self.holds(fetch, self.queue_floor(fetch))
    }

    /// The formula itself, for settings that were derived or that somebody changed.
    pub(crate) fn needs(&self, settings: &ClientSettings) -> Bytes {
        let queue = u128::from(settings.queued_max_messages_kbytes) * 1000;
        self.holds(settings.fetch_max_bytes, queue)
    }

    fn holds(&self, fetch: u64, queue: u128) -> Bytes {
        let queued = queue + self.brokers * self.plain(self.answer(fetch));
        let (numerator, denominator) = self.alpha;
        let inner = (queued * numerator).div_ceil(denominator) + self.beside_queue(fetch);
        Bytes::from_wide((inner * u128::from(self.delta_percent)).div_ceil(100))
    }

    /// The settings for a K of at least [`Client::minimum`]: the largest fetch that leaves a queue
    /// of 0.5 MB and of one decompressed answer.
    pub(crate) fn settings(&self, kafka: Bytes) -> ClientSettings {
        let inner = u128::from(kafka.0) * 100 / u128::from(self.delta_percent);
        let (fetch, queue) = FETCHES
            .iter()
            .find_map(|&fetch| self.queue(inner, fetch).map(|queue| (fetch, queue)))
            .expect("K is at least its minimum, which fits the smallest fetch");
        let receive = u128::from(fetch.max(self.batch)).max(3 * self.plain(self.batch)) + 512;
        ClientSettings {
            queued_max_messages_kbytes: (queue / 1000).min(QUEUE_CEILING_KBYTES),
            queued_min_messages: 100_000,
            fetch_max_bytes: fetch,
            max_partition_fetch_bytes: (fetch / self.interleaved)
                .max(LEAST_OF_A_PARTITION)
                .min(fetch),
            message_max_bytes: fetch,
            receive_message_max_bytes: Bytes::from_wide(receive).0.min(RECEIVE_CEILING),
            fetch_queue_backoff_ms: 3,
        }
    }

    /// Q for that fetch size, if it is not below its floor.
    fn queue(&self, inner: u128, fetch: u64) -> Option<u64> {
        let (numerator, denominator) = self.alpha;
        let values = inner.checked_sub(self.beside_queue(fetch))? * denominator / numerator;
        let queue = values.checked_sub(self.brokers * self.plain(self.answer(fetch)))?;
        (queue >= self.queue_floor(fetch)).then(|| Bytes::from_wide(queue).0)
    }

    /// F': a broker returns the first batch whole, however small the fetch. The partition fetch
    /// size is no bound, because an aborted transaction doubles it for the life of the client.
    fn answer(&self, fetch: u64) -> u64 {
        fetch.max(self.batch)
    }

    fn queue_floor(&self, fetch: u64) -> u128 {
        self.plain(self.answer(fetch)).max(QUEUE_FLOOR.into())
    }

    /// `B F' + τ B ρ b + 1 MB`.
    fn beside_queue(&self, fetch: u64) -> u128 {
        let decompressing = (self.tau_halves * self.plain(self.batch)).div_ceil(2);
        self.brokers * (u128::from(self.answer(fetch)) + decompressing) + u128::from(BASE)
    }

    /// Compressed bytes to values.
    fn plain(&self, compressed: u64) -> u128 {
        (u128::from(compressed) * self.rho_percent).div_ceil(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(codec: Codec, rho_percent: u32, batch: Bytes, brokers: u32) -> Client {
        Client::of(&Demand {
            partitions: 12,
            brokers,
            codec,
            compression_percent: rho_percent,
            largest_message: Bytes::KIB,
            largest_batch: batch,
            purge_decay: PurgeDecay::Immediate,
            ..Demand::default()
        })
    }

    fn chosen(client: Client, mib: u64) -> Option<(u64, u64)> {
        (Bytes::mib(mib) >= client.minimum()).then(|| {
            let settings = client.settings(Bytes::mib(mib));
            (
                settings.queued_max_messages_kbytes,
                settings.fetch_max_bytes >> 10,
            )
        })
    }

    /// The settings that kept a real broker's traffic inside K when they were measured.
    #[test]
    fn settings_are_those_of_the_measured_rule() {
        let none = |brokers| client(Codec::None, 100, Bytes::kib(256), brokers);
        let lz4 = |brokers| client(Codec::Lz4, 400, Bytes::kib(64), brokers);
        let lz4_large = |brokers| client(Codec::Lz4, 400, Bytes::mib(1), brokers);
        let zstd = |brokers| client(Codec::Zstd, 1000, Bytes::kib(256), brokers);
        assert_eq!(chosen(none(1), 4), Some((1272, 512)));
        assert_eq!(chosen(none(3), 4), Some((819, 256)));
        assert_eq!(chosen(none(1), 8), Some((3271, 1024)));
        assert_eq!(chosen(lz4(1), 4), Some((1367, 128)));
        assert_eq!(chosen(lz4(3), 4), Some((676, 64)));
        assert_eq!(chosen(lz4(3), 16), Some((2886, 512)));
        assert_eq!(chosen(lz4_large(1), 16), None);
        assert_eq!(chosen(lz4_large(1), 32), Some((14_506, 1024)));
        assert_eq!(chosen(lz4_large(3), 32), None);
        assert_eq!(chosen(zstd(1), 16), Some((7127, 256)));
        assert_eq!(chosen(zstd(3), 16), None);
        assert_eq!(chosen(zstd(3), 32), Some((11_217, 256)));
    }

    #[test]
    fn a_zstd_batch_stays_below_a_third_of_the_receive_limit() {
        let settings = client(Codec::Zstd, 1000, Bytes::kib(256), 1).settings(Bytes::mib(16));
        assert_eq!(settings.receive_message_max_bytes, 3 * 2560 * 1024 + 512);
    }
}
