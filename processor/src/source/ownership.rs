//! Which partitions are ours, under which epoch, and how far each has been read.
//! Layer: core

use std::collections::BTreeMap;

use super::intake::Epoch;
use crate::record::{Position, TopicPartition};

/// What may be done with a partition's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Admit them.
    Reading,
    /// Second gear: drop them, they are read again at resume.
    Paused,
    /// A revoke is pending: drop them, their next owner reads them again.
    Revoking,
}

/// One partition of ours.
#[derive(Clone, Copy, Debug)]
pub struct Owned {
    /// This assignment.
    pub epoch: Epoch,
    /// What may be done with its records.
    pub state: State,
    /// First offset that was not admitted; `None` until it is known.
    pub next: Option<i64>,
    /// Highest offset dequeued under this epoch.
    seen: Option<i64>,
}

/// Whether a dequeued record may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It belongs to this assignment.
    Ours(Epoch),
    /// Dropped on purpose: it will be read again, by us or by another.
    Dropped,
    /// No assignment of ours: a fault of the client, dropped.
    Unowned,
    /// Not above the one before it: a fault of the client, dropped.
    Backwards,
}

/// All partitions of ours.
#[derive(Debug, Default)]
pub struct Ownership {
    partitions: BTreeMap<TopicPartition, Owned>,
    last_epoch: u64,
}

impl Ownership {
    /// Takes a partition over at the first offset to read, if that is known.
    pub fn assign(&mut self, partition: TopicPartition, next: Option<i64>) -> Epoch {
        self.last_epoch += 1;
        let epoch = Epoch(self.last_epoch);
        let owned = Owned {
            epoch,
            state: State::Reading,
            next,
            seen: None,
        };
        self.partitions.insert(partition, owned);
        epoch
    }

    /// The partition is no longer ours.
    pub fn remove(&mut self, partition: TopicPartition) {
        self.partitions.remove(&partition);
    }

    /// Whether no partition is ours.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// All partitions of ours, in order.
    #[must_use]
    pub fn all(&self) -> Vec<TopicPartition> {
        self.partitions.keys().copied().collect()
    }

    /// All partitions of ours with what is known of them.
    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, &Owned)> {
        self.partitions
            .iter()
            .map(|(partition, owned)| (*partition, owned))
    }

    /// One partition, if it is ours.
    #[must_use]
    pub fn get(&self, partition: TopicPartition) -> Option<&Owned> {
        self.partitions.get(&partition)
    }

    /// Changes what may be done with a partition's records.
    pub fn set_state(&mut self, partition: TopicPartition, state: State) {
        if let Some(owned) = self.partitions.get_mut(&partition) {
            owned.state = state;
        }
    }

    /// Judges a record that was just dequeued; each record once and in queue order.
    pub fn judge(&mut self, position: Position) -> Judgement {
        let Some(owned) = self.partitions.get_mut(&position.partition) else {
            return Judgement::Unowned;
        };
        if owned.state != State::Reading {
            return Judgement::Dropped;
        }
        let floor = owned.seen.max(owned.next.map(|next| next - 1));
        if floor.is_some_and(|floor| position.offset <= floor) {
            return Judgement::Backwards;
        }
        owned.seen = Some(position.offset);
        owned.next.get_or_insert(position.offset);
        Judgement::Ours(owned.epoch)
    }

    /// Whether a record that was judged ours may still be admitted.
    #[must_use]
    pub fn admits(&self, partition: TopicPartition, epoch: Epoch) -> bool {
        self.partitions
            .get(&partition)
            .is_some_and(|owned| owned.epoch == epoch && owned.state == State::Reading)
    }

    /// The record was admitted.
    pub fn admitted(&mut self, position: Position) {
        if let Some(owned) = self.partitions.get_mut(&position.partition) {
            owned.next = Some(position.offset + 1);
        }
    }

    /// Where to read on, after which the partition is read from there; `offset` is the answer if
    /// nothing is known yet.
    pub fn rewind(&mut self, partition: TopicPartition, offset: Option<i64>) -> Option<i64> {
        let owned = self.partitions.get_mut(&partition)?;
        owned.next = owned.next.or(offset);
        owned.seen = None;
        owned.next
    }

    /// Highest offset dequeued under the current epoch.
    #[must_use]
    pub fn seen(&self, partition: TopicPartition) -> Option<i64> {
        self.partitions.get(&partition).and_then(|owned| owned.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicId;

    const P: TopicPartition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };

    fn at(offset: i64) -> Position {
        Position {
            partition: P,
            offset,
        }
    }

    #[test]
    fn offsets_of_an_epoch_rise() {
        let mut ownership = Ownership::default();
        assert_eq!(ownership.judge(at(5)), Judgement::Unowned);
        let epoch = ownership.assign(P, Some(5));
        assert_eq!(ownership.judge(at(4)), Judgement::Backwards);
        assert_eq!(ownership.judge(at(5)), Judgement::Ours(epoch));
        assert_eq!(
            ownership.judge(at(9)),
            Judgement::Ours(epoch),
            "holes are legal"
        );
        assert_eq!(ownership.judge(at(9)), Judgement::Backwards);
    }

    #[test]
    fn a_record_of_an_older_epoch_is_not_admitted() {
        let mut ownership = Ownership::default();
        let old = ownership.assign(P, None);
        ownership.remove(P);
        let new = ownership.assign(P, None);
        assert!(!ownership.admits(P, old));
        assert!(ownership.admits(P, new));
    }

    #[test]
    fn a_rewind_reads_the_first_record_that_was_not_admitted() {
        let mut ownership = Ownership::default();
        let epoch = ownership.assign(P, None);
        for offset in 0..10 {
            ownership.judge(at(offset));
        }
        ownership.admitted(at(3));
        ownership.set_state(P, State::Paused);
        assert_eq!(ownership.judge(at(10)), Judgement::Dropped);
        assert!(!ownership.admits(P, epoch));
        assert_eq!(ownership.rewind(P, None), Some(4));
        ownership.set_state(P, State::Reading);
        assert_eq!(ownership.judge(at(3)), Judgement::Backwards);
        assert_eq!(ownership.judge(at(4)), Judgement::Ours(epoch));
    }
}
