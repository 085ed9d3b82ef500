//! Which records come, in which order: events, repeats of earlier ones, and broken ones.
//! Layer: core

use std::sync::Arc;

use super::storefront::Storefront;

/// Why a record is in the log, and so what must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An event, for the first time: through all stages.
    Event,
    /// The body of an earlier record of the same key again: finishes at `index`.
    Duplicate,
    /// An event without a key: indexed, then a dead letter, for no visit can be addressed.
    NullKey,
    /// JSON that breaks off: dead letter.
    BrokenJson,
    /// Zero bytes: dead letter.
    EmptyValue,
    /// An object without `id`: dead letter.
    NoId,
}

impl Kind {
    /// Whether the record ends as a dead letter.
    #[must_use]
    pub fn is_dead_letter(self) -> bool {
        match self {
            Self::Event | Self::Duplicate => false,
            Self::NullKey | Self::BrokenJson | Self::EmptyValue | Self::NoId => true,
        }
    }

    /// Whether the record must be found in the index as the first of its id.
    #[must_use]
    pub fn is_indexed(self) -> bool {
        match self {
            Self::Event | Self::NullKey => true,
            Self::Duplicate | Self::BrokenJson | Self::EmptyValue | Self::NoId => false,
        }
    }
}

/// A record to be: enough to write it and to know what it must lead to. Sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Number of the event; for a duplicate that of the earlier record.
    pub number: u32,
    /// Customer; what the key would be for a record without one.
    pub key: u32,
    /// Position among the key's events, from 1.
    pub sequence: u32,
    /// What it is.
    pub kind: Kind,
}

/// Shares in records per million.
const POISON: u64 = 1_000;
const NULL_KEYS: u64 = 50;
const DUPLICATES: u64 = 10_000;

/// How many earlier events a duplicate is drawn from.
const MEMORY: usize = 512;

/// The records of a workload, one after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    storefront: Arc<Storefront>,
    next: u32,
    sequences: Vec<u32>,
    recent: Vec<Draft>,
}

impl Generator {
    /// A generator at its first record.
    #[must_use]
    pub fn new(storefront: Arc<Storefront>) -> Self {
        let keys = storefront.workload().keys.max(1) as usize;
        Self {
            storefront,
            next: 0,
            sequences: vec![0; keys],
            recent: Vec::with_capacity(MEMORY),
        }
    }

    fn event(&mut self, number: u32, kind: Kind) -> Draft {
        let key = self.storefront.key(number);
        let sequence = match kind {
            Kind::Event => {
                self.sequences[key as usize] += 1;
                self.sequences[key as usize]
            }
            _ => 0,
        };
        let draft = Draft {
            number,
            key,
            sequence,
            kind,
        };
        if kind == Kind::Event {
            self.remember(draft);
        }
        draft
    }

    fn remember(&mut self, draft: Draft) {
        if self.recent.len() < MEMORY {
            self.recent.push(draft);
        } else {
            let slot = draft.number as usize % MEMORY;
            self.recent[slot] = draft;
        }
    }
}

impl Iterator for Generator {
    type Item = Draft;

    fn next(&mut self) -> Option<Draft> {
        let number = self.next;
        if number == self.storefront.workload().records {
            return None;
        }
        self.next += 1;
        let mut dice = self.storefront.dice(number);
        let roll = dice.below(1_000_000);
        if roll < POISON {
            let kinds = [Kind::BrokenJson, Kind::EmptyValue, Kind::NoId];
            return Some(self.event(number, kinds[(roll % 3) as usize]));
        }
        if roll < POISON + NULL_KEYS {
            return Some(self.event(number, Kind::NullKey));
        }
        if roll < POISON + NULL_KEYS + DUPLICATES && !self.recent.is_empty() {
            let slot = dice.below(self.recent.len() as u64);
            let earlier = self.recent[usize::try_from(slot).expect("a slot of the ring")];
            return Some(Draft {
                kind: Kind::Duplicate,
                ..earlier
            });
        }
        Some(self.event(number, Kind::Event))
    }
}

#[cfg(test)]
mod tests;
