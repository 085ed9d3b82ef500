//! The parts of the ledger that share what the limit leaves, and one value for each of them.
//! Layer: core

use std::ops::{Index, IndexMut};

/// A part of the ledger with a minimum, a weight and perhaps an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// K: what the Kafka client prefetches.
    Kafka,
    /// D: records queued or running, and the one outside.
    Dispatcher,
    /// X: parsed events.
    Active,
    /// Z: batches of all sinks.
    Sinks,
    /// C: caches.
    Caches,
}

impl Pool {
    /// In the order of the ledger.
    pub const ALL: [Self; 5] = [
        Self::Kafka,
        Self::Dispatcher,
        Self::Active,
        Self::Sinks,
        Self::Caches,
    ];

    /// The word used in explanations, weights and overrides.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Dispatcher => "dispatcher",
            Self::Active => "active",
            Self::Sinks => "sinks",
            Self::Caches => "caches",
        }
    }

    /// Path of its override in the object's spec.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Kafka => "memory.overrides.kafka",
            Self::Dispatcher => "memory.overrides.dispatcher",
            Self::Active => "memory.overrides.active",
            Self::Sinks => "memory.overrides.sinks",
            Self::Caches => "memory.overrides.caches",
        }
    }
}

/// One value per pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPool<T>(pub [T; 5]);

impl<T> PerPool<T> {
    /// Asks for each pool in turn.
    pub fn from_fn(mut value: impl FnMut(Pool) -> T) -> Self {
        Self(Pool::ALL.map(&mut value))
    }
}

impl<T> Index<Pool> for PerPool<T> {
    type Output = T;

    fn index(&self, pool: Pool) -> &T {
        &self.0[pool as usize]
    }
}

impl<T> IndexMut<Pool> for PerPool<T> {
    fn index_mut(&mut self, pool: Pool) -> &mut T {
        &mut self.0[pool as usize]
    }
}
