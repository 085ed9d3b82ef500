//! What order means for a record: the queue it joins, as a 64-bit keyed hash.
//! Layer: core

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

/// Which records wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Records of one key, in log order.
    PerKey,
    /// All records of a partition, in log order.
    PerPartition,
    /// None.
    None,
}

/// What a null key means under [`Ordering::PerKey`]. A header as key is resolved by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullKeys {
    /// Each such record is a key of its own.
    Spread,
    /// All of them are one key.
    Single,
}

/// The queue a record joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Waits for earlier records of the same hash. Two keys of one hash wait for each other too:
    /// a collision delays, it never reorders.
    Hash(u64),
    /// Waits for nobody.
    Spread,
}

/// Queue of every record under [`Ordering::PerPartition`], and of null keys under
/// [`NullKeys::Single`].
const SINGLE: Key = Key::Hash(0);

/// Turns keys into queues. Seeded at random per process, so that nobody can choose colliding keys
/// and no hash that is shown can be led back to a key.
#[derive(Clone)]
pub struct KeyHasher {
    seed: RandomState,
    ordering: Ordering,
    null_keys: NullKeys,
}

impl KeyHasher {
    /// A hasher with a seed of its own; share one per process by cloning.
    #[must_use]
    pub fn new(ordering: Ordering, null_keys: NullKeys) -> Self {
        Self {
            seed: RandomState::default(),
            ordering,
            null_keys,
        }
    }

    /// The queue of a record with this key; `None` is Kafka's null key.
    #[must_use]
    #[inline]
    pub fn key(&self, bytes: Option<&[u8]>) -> Key {
        match (self.ordering, bytes, self.null_keys) {
            (Ordering::None, _, _) | (Ordering::PerKey, None, NullKeys::Spread) => Key::Spread,
            (Ordering::PerPartition, _, _) | (Ordering::PerKey, None, NullKeys::Single) => SINGLE,
            (Ordering::PerKey, Some(bytes), _) => Key::Hash(self.hash(bytes)),
        }
    }

    /// The bytes alone: nothing follows them that their length would have to be told apart from.
    #[inline]
    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }
}
