//! What is produced: the event behind every sequence number, a function of the seed alone.
//! Layer: core

use std::io::Write;

/// Bytes of every value.
pub(crate) const VALUE_BYTES: usize = 1024;
/// Products that events are spread over.
pub(crate) const PRODUCTS: u64 = 200;
/// Every so many events repeat the event before: same key, same event id.
const DUPLICATE_EVERY: u64 = 50;
const PAD: [u8; VALUE_BYTES] = [b'x'; VALUE_BYTES];

/// A reproducible stream of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// Start of every choice.
    pub(crate) seed: u64,
    /// Distinct record keys.
    pub(crate) keys: u32,
    /// Partitions of the input topic.
    pub(crate) partitions: u32,
}

/// What one sequence number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Position in the stream, from 0.
    pub(crate) sequence: u32,
    /// The sequence whose event id this one carries: its own, unless it is a duplicate.
    pub(crate) original: u32,
    /// Which key, below `keys`.
    pub(crate) key: u32,
    /// Which partition; all events of a key share one.
    pub(crate) partition: u32,
    /// Which product, below [`PRODUCTS`].
    pub(crate) product: u32,
    /// Price, in cents.
    pub(crate) cents: u32,
}

impl Workload {
    /// The event of a sequence number.
    pub(crate) fn event(&self, sequence: u32) -> Event {
        let duplicate = u64::from(sequence) % DUPLICATE_EVERY == DUPLICATE_EVERY - 1;
        let original = sequence - u32::from(duplicate);
        let dice = mix(self.seed ^ mix(u64::from(original)));
        let key = below(dice, u64::from(self.keys));
        Event {
            sequence,
            original,
            key,
            partition: below(mix(u64::from(key)), u64::from(self.partitions)),
            product: below(mix(dice), PRODUCTS),
            cents: 100 + below(mix(dice ^ 1), 10_000),
        }
    }
}

impl Event {
    /// Whether an earlier event carries the same id.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.original != self.sequence
    }

    /// The record's key.
    pub(crate) fn key_bytes(&self) -> Vec<u8> {
        format!("k-{}", self.key).into_bytes()
    }

    /// Writes the record's value, JSON of exactly [`VALUE_BYTES`], over `value`.
    pub(crate) fn write_value(&self, value: &mut Vec<u8>) {
        value.clear();
        write!(
            value,
            r#"{{"id":"e-{}","sequence":{},"product":"p-{}","amountCents":{},"pad":""#,
            self.original, self.sequence, self.product, self.cents
        )
        .expect("a vector takes every write");
        let pad = VALUE_BYTES - value.len() - 2;
        value.extend_from_slice(&PAD[..pad]);
        value.extend_from_slice(b"\"}");
    }
}

/// SplitMix64's finalizer: every bit of the result depends on every bit of the input.
pub(crate) fn mix(input: u64) -> u64 {
    let a = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

fn below(dice: u64, bound: u64) -> u32 {
    u32::try_from(dice % bound).expect("every bound fits 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKLOAD: Workload = Workload {
        seed: 7,
        keys: 100,
        partitions: 12,
    };

    #[test]
    fn values_are_json_of_the_same_size() {
        let mut value = Vec::new();
        for sequence in [0, 9_999, 999_999] {
            WORKLOAD.event(sequence).write_value(&mut value);
            assert_eq!(value.len(), VALUE_BYTES);
            let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert_eq!(json["sequence"], sequence);
        }
    }

    #[test]
    fn a_duplicate_has_the_key_and_partition_of_its_original() {
        let (first, second) = (WORKLOAD.event(48), WORKLOAD.event(49));
        assert!(second.is_duplicate());
        assert_eq!((first.key, first.partition), (second.key, second.partition));
        assert_eq!(second.original, first.sequence);
    }

    #[test]
    fn keys_reach_every_partition() {
        let mut hit = [false; 12];
        (0..2_000).for_each(|s| hit[WORKLOAD.event(s).partition as usize] = true);
        assert_eq!(hit, [true; 12]);
    }
}
