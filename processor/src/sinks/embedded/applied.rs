//! What a document and a counter remember of the records applied to them.
//! Layer: core

use crate::sinks::{Effect, Provenance};

/// Offsets that one [`Block`] covers; its 512 bytes are one row of the file.
pub(super) const BLOCK_OFFSETS: i64 = 4096;

/// Bytes of a block: one bit per offset.
const BLOCK_BYTES: usize = 512;

/// Where a record stands to what was applied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Not applied yet.
    New,
    /// Applied by an earlier delivery.
    Redelivered,
}

/// One entry of a document's memory: stage, topic, partition, generation, offset.
type Entry = (String, String, i32, u64, i64);

/// The last record applied to a document, per stage and partition.
///
/// It is right because the document's id is the pipeline's key: its records are applied in order,
/// so everything up to the last one has been applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct LastApplied(Vec<Entry>);

impl LastApplied {
    /// Moves on to this record, unless it is not above the last one; generation counts first.
    pub(super) fn advance(&mut self, effect: &Effect) -> Freshness {
        let (stage, provenance) = (&*effect.stage, &effect.provenance);
        let at = (provenance.generation, provenance.position.offset);
        match self
            .0
            .iter_mut()
            .find(|entry| concerns(entry, stage, provenance))
        {
            Some((.., generation, offset)) if at <= (*generation, *offset) => {
                Freshness::Redelivered
            }
            Some((.., generation, offset)) => {
                (*generation, *offset) = at;
                Freshness::New
            }
            None => {
                let partition = provenance.position.partition.partition;
                let topic = provenance.topic.to_string();
                self.0
                    .push((stage.to_owned(), topic, partition, at.0, at.1));
                Freshness::New
            }
        }
    }
}

fn concerns(entry: &Entry, stage: &str, provenance: &Provenance) -> bool {
    entry.2 == provenance.position.partition.partition
        && entry.1 == *provenance.topic
        && entry.0 == stage
}

/// Number of the block that holds an offset.
pub(super) fn block_of(offset: i64) -> i64 {
    offset.div_euclid(BLOCK_OFFSETS)
}

/// Applied offsets of one block of a partition, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block([u8; BLOCK_BYTES]);

impl Block {
    /// Nothing applied.
    pub(super) fn empty() -> Self {
        Self([0; BLOCK_BYTES])
    }

    /// A block as it was written; `None` when the length is wrong.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The form for the file.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the offset has been applied.
    pub(super) fn contains(&self, offset: i64) -> bool {
        let (byte, bit) = place(offset);
        self.0[byte] & bit != 0
    }

    /// Marks the offset as applied.
    pub(super) fn insert(&mut self, offset: i64) {
        let (byte, bit) = place(offset);
        self.0[byte] |= bit;
    }
}

fn place(offset: i64) -> (usize, u8) {
    let bit =
        usize::try_from(offset.rem_euclid(BLOCK_OFFSETS)).expect("a remainder is not negative");
    (bit / 8, 1 << (bit % 8))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        record::{Position, TopicId, TopicPartition},
        sinks::{Action, Retention},
    };

    fn effect(stage: &str, partition: i32, generation: u64, offset: i64) -> Effect {
        let partition = TopicPartition {
            topic: TopicId(0),
            partition,
        };
        let provenance = Provenance {
            generation,
            topic: Arc::from("t"),
            position: Position { partition, offset },
            floor: 0,
        };
        let action = Action::Unique {
            set: String::new(),
            member: Vec::new(),
            retention: Retention {
                until_ms: 0,
                margin_ms: 0,
            },
        };
        Effect {
            stage: Arc::from(stage),
            provenance,
            action,
        }
    }

    #[test]
    fn generation_outweighs_offset_and_stages_do_not_meet() {
        let mut last = LastApplied::default();
        assert_eq!(last.advance(&effect("a", 0, 0, 7)), Freshness::New);
        assert_eq!(last.advance(&effect("a", 0, 0, 7)), Freshness::Redelivered);
        assert_eq!(last.advance(&effect("a", 0, 0, 6)), Freshness::Redelivered);
        assert_eq!(last.advance(&effect("b", 0, 0, 6)), Freshness::New);
        assert_eq!(last.advance(&effect("a", 1, 0, 6)), Freshness::New);
        assert_eq!(last.advance(&effect("a", 0, 1, 0)), Freshness::New);
        assert_eq!(last.advance(&effect("a", 0, 0, 9)), Freshness::Redelivered);
    }

    proptest! {
        #[test]
        fn a_block_is_a_set_of_offsets(offsets in prop::collection::vec(0..BLOCK_OFFSETS, 0..200)) {
            let base = BLOCK_OFFSETS * 3;
            let mut block = Block::empty();
            let mut model = BTreeSet::new();
            for offset in offsets {
                prop_assert_eq!(block.contains(base + offset), !model.insert(offset));
                block.insert(base + offset);
            }
            let block = Block::from_bytes(block.as_bytes()).expect("its own length");
            for offset in 0..BLOCK_OFFSETS {
                prop_assert_eq!(block.contains(base + offset), model.contains(&offset));
                prop_assert_eq!(block_of(base + offset), 3);
            }
        }
    }
}
