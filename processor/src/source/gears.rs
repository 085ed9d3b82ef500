//! When a record that must wait holds everything, and when its partition alone is paused.
//! Layer: core

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::intake::{Held, HeldReason};
use crate::record::TopicPartition;

/// A full partition blocks the others this long before it is paused: what it has prefetched is
/// fetched again, so a pause must be rare.
const BLOCKED: Duration = Duration::from_millis(100);

/// A pause lasts at least this long.
const PAUSED: Duration = Duration::from_secs(1);

/// A paused partition is resumed when its budget is at most this full, per cent.
const RESUME_AT: u8 = 50;

/// Which gear the source is in, and why.
#[derive(Debug, Default)]
pub struct Gears {
    held: Option<(Held, Instant)>,
    paused: BTreeMap<TopicPartition, Instant>,
    pauses: u64,
}

impl Gears {
    /// The front record must wait, or (`None`) nothing waits. Answers with a partition that has
    /// blocked the others for too long.
    pub fn observe(&mut self, held: Option<Held>, now: Instant) -> Option<TopicPartition> {
        let since = match (held, self.held) {
            (Some(held), Some((before, since))) if held == before => since,
            _ => now,
        };
        self.held = held.map(|held| (held, since));
        let full = held.filter(|held| held.reason == HeldReason::PartitionFull)?;
        (now - since >= BLOCKED).then_some(full.partition)
    }

    /// The partition was paused.
    pub fn pause(&mut self, partition: TopicPartition, now: Instant) {
        self.held = None;
        self.pauses += 1;
        self.paused.insert(partition, now);
    }

    /// Paused partitions that have been so for long enough and are empty enough.
    pub fn ripe(
        &self,
        now: Instant,
        mut fill_percent: impl FnMut(TopicPartition) -> u8,
    ) -> Vec<TopicPartition> {
        let old = self
            .paused
            .iter()
            .filter(|(_, since)| now - **since >= PAUSED);
        old.map(|(partition, _)| *partition)
            .filter(|p| fill_percent(*p) <= RESUME_AT)
            .collect()
    }

    /// Whether the partition is in second gear.
    #[must_use]
    pub fn is_paused(&self, partition: TopicPartition) -> bool {
        self.paused.contains_key(&partition)
    }

    /// The partition was resumed, or is no longer ours.
    pub fn forget(&mut self, partition: TopicPartition) {
        self.paused.remove(&partition);
        if self
            .held
            .is_some_and(|(held, _)| held.partition == partition)
        {
            self.held = None;
        }
    }

    /// Why the front record waits now.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        self.held.map(|(held, _)| held)
    }

    /// Pauses since the start.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses
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
    const FULL: Held = Held {
        partition: P,
        reason: HeldReason::PartitionFull,
    };

    #[test]
    fn a_full_partition_is_paused_after_a_while_and_a_full_pod_never() {
        let (mut gears, start) = (Gears::default(), Instant::now());
        assert_eq!(gears.observe(Some(FULL), start), None);
        assert_eq!(gears.observe(Some(FULL), start + BLOCKED), Some(P));
        let pod = Held {
            partition: P,
            reason: HeldReason::PodFull,
        };
        assert_eq!(gears.observe(Some(pod), start + BLOCKED), None);
        assert_eq!(gears.observe(Some(pod), start + BLOCKED * 100), None);
    }

    #[test]
    fn progress_starts_the_wait_anew() {
        let (mut gears, start) = (Gears::default(), Instant::now());
        gears.observe(Some(FULL), start);
        gears.observe(None, start + BLOCKED / 2);
        assert_eq!(gears.observe(Some(FULL), start + BLOCKED), None);
    }

    #[test]
    fn a_pause_is_held_long_and_ends_when_half_empty() {
        let (mut gears, start) = (Gears::default(), Instant::now());
        gears.pause(P, start);
        assert!(gears.ripe(start + PAUSED / 2, |_| 0).is_empty());
        assert!(gears.ripe(start + PAUSED, |_| 51).is_empty());
        assert_eq!(gears.ripe(start + PAUSED, |_| 50), [P]);
        gears.forget(P);
        assert!(gears.ripe(start + PAUSED, |_| 0).is_empty());
    }
}
