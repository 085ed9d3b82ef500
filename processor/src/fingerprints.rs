//! A flat table of fingerprints: which members were lately seen in which set, 16 bytes an entry.
//! Layer: core
//!
//! One allocation made at once, no lock, no allocation per insert. Buckets of eight slots, one
//! cache line each; a slot is a fingerprint of 63 bits and a mark. A bucket that is full gives up a
//! member by second chance: from a random slot on, marks are taken off until one has none.
//!
//! The table is twice as large as the entries it promises (8 bytes a slot), because a bucket
//! overflows long before a table of buckets is full: at half load about one entry in a hundred is
//! lost to a neighbour. A wrong hit needs two equal fingerprints in one bucket: 8 in 2^63 a
//! look-up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

/// Slots of a bucket; one cache line.
const WAYS: usize = 8;

/// Bytes of a bucket: eight a slot.
const BUCKET_BYTES: u64 = 64;

const _: () = assert!(size_of::<Bucket>() == 64, "the law charges what is there");

/// Seen since its mark was last taken off.
const MARK: u64 = 1 << 63;

/// A bucket starts where a cache line does.
#[repr(align(64))]
struct Bucket([AtomicU64; WAYS]);

impl Bucket {
    fn empty() -> Self {
        Self([const { AtomicU64::new(0) }; WAYS])
    }
}

/// The fingerprint of a member in a set: any 64 bits of an even hash over set, window, member and
/// whatever else makes an old entry void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// From an even hash.
    #[must_use]
    pub fn new(hash: u64) -> Self {
        Self(hash)
    }

    /// What a slot holds: never zero, which is an empty slot, and without the mark.
    fn content(self) -> u64 {
        (self.0 & !MARK).max(1)
    }
}

/// The table. Shared by all workers.
pub struct Fingerprints {
    /// Locked for writing only while it changes its size.
    buckets: RwLock<Box<[Bucket]>>,
    /// Any odd number changes with every eviction: where the next hand starts.
    hand: AtomicU64,
}

impl Fingerprints {
    /// A table of at most so many bytes; of less than one bucket it remembers nothing.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self {
            buckets: RwLock::new(table(bytes)),
            hand: AtomicU64::new(1),
        }
    }

    /// Changes the size, and forgets everything: the old table is gone before the new one is there.
    pub fn resize(&self, bytes: u64) {
        if table_len(bytes) != self.buckets.read().len() {
            let mut buckets = self.buckets.write();
            *buckets = Box::default();
            *buckets = table(bytes);
        }
    }

    /// Bytes allocated.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.buckets.read().len() as u64 * BUCKET_BYTES
    }

    /// Whether it was inserted and not evicted since.
    #[must_use]
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        let content = fingerprint.content();
        let buckets = self.buckets.read();
        let Some(bucket) = place(&buckets, fingerprint) else {
            return false;
        };
        bucket.0.iter().any(|slot| {
            let held = slot.load(Relaxed);
            if held & !MARK != content {
                return false;
            }
            // One write, not one a look-up: the line stays shared between the cores. A lost race
            // with an eviction costs the newcomer its place, never an answer.
            if held & MARK == 0 {
                let _ = slot.compare_exchange(held, held | MARK, Relaxed, Relaxed);
            }
            true
        })
    }

    /// Remembers it, in place of another one when its bucket is full.
    pub fn insert(&self, fingerprint: Fingerprint) {
        let content = fingerprint.content();
        let buckets = self.buckets.read();
        let Some(bucket) = place(&buckets, fingerprint) else {
            return;
        };
        for slot in &bucket.0 {
            let held = slot.load(Relaxed);
            if held & !MARK == content {
                return;
            }
            if held == 0 && slot.compare_exchange(0, content, Relaxed, Relaxed).is_ok() {
                return;
            }
        }
        self.evict(bucket, content);
    }

    /// Second chance from a random slot on; the second round meets slots without marks.
    fn evict(&self, bucket: &Bucket, content: u64) {
        let turn = self.hand.fetch_add(1, Relaxed);
        let start = scramble(turn);
        for step in 0..2 * WAYS {
            let slot = &bucket.0[(start + step) % WAYS];
            let held = slot.load(Relaxed);
            let next = if held & MARK == 0 {
                content
            } else {
                held & !MARK
            };
            let done = slot.compare_exchange(held, next, Relaxed, Relaxed).is_ok();
            if done && next == content {
                return;
            }
        }
    }
}

fn table_len(bytes: u64) -> usize {
    usize::try_from(bytes / BUCKET_BYTES).unwrap_or(usize::MAX)
}

/// Refused memory is a table that remembers nothing; the sink is right without it.
fn table(bytes: u64) -> Box<[Bucket]> {
    let (buckets, mut table) = (table_len(bytes), Vec::new());
    if table.try_reserve_exact(buckets).is_ok() {
        table.resize_with(buckets, Bucket::empty);
    }
    table.into_boxed_slice()
}

/// The high half of a product spreads evenly over any number of buckets. The mark's bit takes part,
/// since it is not in the slot.
fn place(buckets: &[Bucket], fingerprint: Fingerprint) -> Option<&Bucket> {
    let wide = u128::from(fingerprint.0.rotate_left(32)) * buckets.len() as u128;
    buckets.get(usize::try_from(wide >> 64).ok()?)
}

/// Spreads consecutive turns over the slots (Fibonacci hashing).
fn scramble(turn: u64) -> usize {
    let mixed = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
    usize::try_from(mixed).expect("three bits")
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::FixedState;
    use penstock_sizing::CacheKind;
    use proptest::prelude::*;

    use super::*;

    fn fingerprints(count: u64) -> impl Iterator<Item = Fingerprint> {
        let state = FixedState::with_seed(7);
        (0..count).map(move |number| Fingerprint::new(state.hash_one(number)))
    }

    /// The law charges 16 bytes an entry: a table of so many bytes keeps all but a few of its
    /// entries, and never allocates more.
    #[test]
    fn an_entry_costs_what_the_law_charges() {
        const BYTES: u64 = 1 << 20;
        let table = Fingerprints::new(BYTES);
        assert!(table.bytes() <= BYTES && table.bytes() > BYTES - 64);
        let entries = BYTES / CacheKind::Fingerprint.entry_bytes();
        let all: Vec<_> = fingerprints(entries).collect();
        all.iter().for_each(|one| table.insert(*one));
        let kept = all.iter().filter(|one| table.contains(**one)).count() as u64;
        assert!(kept * 100 >= entries * 98, "{kept} of {entries} were kept");
    }

    #[test]
    fn a_full_table_goes_on_and_keeps_what_is_asked_for() {
        let table = Fingerprints::new(64 * 64);
        let mut all: Vec<_> = fingerprints(10_000).collect();
        let hot = all.pop().expect("not empty");
        table.insert(hot);
        for (at, one) in all.iter().enumerate() {
            table.insert(*one);
            // The others are not asked for: among eight that are, any may go.
            assert!(table.contains(hot), "asked for after {at} others");
        }
        let kept = all.iter().filter(|one| table.contains(**one)).count();
        assert!(kept <= 64 * WAYS, "no more than there are slots");
    }

    #[test]
    fn the_newest_is_there_however_full_the_table_is() {
        let table = Fingerprints::new(64 * 64);
        for (at, one) in fingerprints(10_000).enumerate() {
            table.insert(one);
            assert!(table.contains(one), "number {at}");
        }
    }

    #[test]
    fn another_size_is_another_table() {
        let table = Fingerprints::new(1 << 16);
        let one = Fingerprint::new(7);
        table.insert(one);
        table.resize(1 << 16);
        assert!(table.contains(one), "the same size changes nothing");
        table.resize(1 << 12);
        assert_eq!((table.bytes(), table.contains(one)), (1 << 12, false));
    }

    #[test]
    fn strangers_are_not_found() {
        let table = Fingerprints::new(1 << 16);
        fingerprints(8_000).for_each(|one| table.insert(one));
        let found = fingerprints(108_000)
            .skip(8_000)
            .filter(|one| table.contains(*one))
            .count();
        assert_eq!(found, 0);
        assert!(!Fingerprints::new(63).contains(Fingerprint::new(7)));
    }

    proptest! {
        #[test]
        fn any_bits_are_a_fingerprint(hash: u64, buckets in 1..300_u64) {
            let table = Fingerprints::new(buckets * 64);
            prop_assert!(!table.contains(Fingerprint::new(hash)));
            table.insert(Fingerprint::new(hash));
            prop_assert!(table.contains(Fingerprint::new(hash)));
            table.insert(Fingerprint::new(hash));
            let held = table.buckets.read();
            let held = held.iter().flat_map(|bucket| &bucket.0);
            prop_assert_eq!(held.filter(|slot| slot.load(Relaxed) != 0).count(), 1);
        }
    }
}
