//! The hottest key of a partition: a majority vote per bucket, one cache line per record.
//! Layer: core
//!
//! Each bucket keeps one candidate, its votes and all records that fell into the bucket; another
//! key takes a vote away. The candidate's count is estimated as (total + votes) / 2 (MV-Sketch,
//! Tang, Huang and Lee, INFOCOM 2019). A key above about 2 % of the records is found.

/// Buckets; 1 KiB together.
const BUCKETS: usize = 64;

/// Records after which all counts are halved, so that the past fades.
const HALF_LIFE: u32 = 8_192;

#[derive(Clone, Copy, Default)]
struct Bucket {
    candidate: u64,
    total: u32,
    votes: u32,
}

/// The key that most records of the recent past belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotKey {
    /// Keyed hash; the key itself is never kept.
    pub hash: u64,
    /// Estimated share of the records admitted lately, thousandths.
    pub permille: u32,
}

/// Counts of the recent past.
#[derive(Clone)]
pub(super) struct HotKeys {
    buckets: [Bucket; BUCKETS],
    records: u32,
    until_halving: u32,
}

impl HotKeys {
    pub(super) fn new() -> Self {
        Self {
            buckets: [Bucket::default(); BUCKETS],
            records: 0,
            until_halving: HALF_LIFE,
        }
    }

    /// Counts a record that is a key of its own.
    #[inline]
    pub(super) fn spread(&mut self) {
        self.records += 1;
        self.until_halving -= 1;
        if self.until_halving == 0 {
            self.halve();
        }
    }

    /// Counts a record of this key.
    #[inline]
    pub(super) fn record(&mut self, hash: u64) {
        // The index uses the low half, so the bucket comes from the high half.
        let bucket = &mut self.buckets[(hash >> 58) as usize];
        bucket.total += 1;
        // Without branches: with uniform keys each of them would be guessed wrong every other time.
        let (empty, same) = (bucket.votes == 0, bucket.candidate == hash);
        bucket.candidate = if empty { hash } else { bucket.candidate };
        bucket.votes = if empty | same {
            bucket.votes + 1
        } else {
            bucket.votes - 1
        };
        self.spread();
    }

    /// The hottest key, once there was any.
    pub(super) fn hottest(&self) -> Option<HotKey> {
        let estimate = |bucket: &Bucket| bucket.total.midpoint(bucket.votes);
        let bucket = self
            .buckets
            .iter()
            .filter(|b| b.votes > 0)
            .max_by_key(|b| estimate(b))?;
        let permille = u64::from(estimate(bucket)) * 1_000 / u64::from(self.records.max(1));
        let permille = u32::try_from(permille.min(1_000)).expect("at most a thousand");
        Some(HotKey {
            hash: bucket.candidate,
            permille,
        })
    }

    fn halve(&mut self) {
        self.records /= 2;
        self.until_halving = HALF_LIFE;
        for bucket in &mut self.buckets {
            bucket.total /= 2;
            bucket.votes /= 2;
        }
    }
}
