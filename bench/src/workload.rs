//! Keys and payloads: who is how hot, reproducible from a seed.
//! Layer: core

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// How records spread over keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// Every key alike.
    Uniform,
    /// Zipf with exponent 1: the n-th key has 1/n of the first one's share.
    Zipf,
}

impl Skew {
    /// Name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf 1.0",
        }
    }
}

/// Bytes of a key, as a UUID without dashes cut to 24 has.
pub const KEY_LEN: usize = 24;

/// Keys of the measured workload, drawn from a seed.
pub struct Workload {
    keys: Vec<[u8; KEY_LEN]>,
    draws: Vec<u32>,
}

/// Draws before the sequence repeats; long enough that no cache learns it.
const DRAWS: usize = 1 << 20;

impl Workload {
    /// `keys` distinct keys and a sequence of draws from them.
    ///
    /// # Panics
    /// When `keys` is 0 or does not fit into 32 bits.
    #[must_use]
    pub fn new(keys: usize, skew: Skew, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let ranks = match skew {
            Skew::Uniform => vec![1; keys],
            Skew::Zipf => (1..=keys as u64).map(|rank| (1 << 40) / rank).collect(),
        };
        let mut sum = 0_u64;
        let cumulative: Vec<u64> = ranks
            .into_iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        let draws = (0..DRAWS).map(|_| {
            let point = random.random_range(0..sum);
            let rank = cumulative.partition_point(|&upper| upper <= point);
            u32::try_from(rank).expect("keys fit into 32 bits")
        });
        let draws = draws.collect();
        let keys = (0..keys).map(|_| random.random()).collect();
        Self { keys, draws }
    }

    /// Which key the record at this offset has.
    #[must_use]
    pub fn rank(&self, offset: i64) -> u32 {
        self.draws[usize::try_from(offset).expect("offsets are not negative") % DRAWS]
    }

    /// Bytes of that key.
    #[must_use]
    pub fn key(&self, rank: u32) -> &[u8] {
        &self.keys[rank as usize]
    }

    /// Number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }
}
