//! The alarm for a partition that has lag and gives no record.
//! Layer: core

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::record::TopicPartition;

/// Silence that calls for a new forward: a lost one is a stall without an error.
const ALARM: Duration = Duration::from_secs(10);

/// When each partition last made progress or had a reason not to.
#[derive(Debug, Default)]
pub struct Silence {
    since: BTreeMap<TopicPartition, (Option<i64>, Instant)>,
}

/// Whether a partition is expected to give records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It has lag and nothing holds it.
    Records,
    /// It is held, paused, draining or at its end.
    Silence,
}

impl Silence {
    /// Looks at one partition; true when it was silent for too long, after which the time runs anew.
    pub fn alarmed(
        &mut self,
        partition: TopicPartition,
        seen: Option<i64>,
        expectation: Expectation,
        now: Instant,
    ) -> bool {
        let (before, since) = self.since.entry(partition).or_insert((seen, now));
        if expectation == Expectation::Silence || *before != seen {
            (*before, *since) = (seen, now);
        }
        let alarmed = now - *since >= ALARM;
        if alarmed {
            *since = now;
        }
        alarmed
    }

    /// The partition is no longer ours.
    pub fn forget(&mut self, partition: TopicPartition) {
        self.since.remove(&partition);
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

    #[test]
    fn only_silence_without_a_reason_alarms() {
        let (mut silence, start) = (Silence::default(), Instant::now());
        assert!(!silence.alarmed(P, Some(1), Expectation::Records, start));
        assert!(!silence.alarmed(P, Some(1), Expectation::Records, start + ALARM / 2));
        assert!(silence.alarmed(P, Some(1), Expectation::Records, start + ALARM));
        assert!(!silence.alarmed(P, Some(1), Expectation::Silence, start + ALARM * 3));
        assert!(!silence.alarmed(P, Some(2), Expectation::Records, start + ALARM * 5));
    }
}
