//! When to commit, and what an answered commit means.
//! Layer: core

use std::time::{Duration, Instant};

use super::intake::{Urgency, Watermark};
use crate::record::TopicPartition;

/// A commit that nobody answered for this long is given up; the next one carries its watermarks.
const UNANSWERED: Duration = Duration::from_secs(30);

/// After a commit was refused because the assignment is gone, none is sent for this long or until
/// the next rebalance.
const REFUSED: Duration = Duration::from_secs(10);

/// Why a commit was refused, which says what to do. No refusal restarts the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rebalance is under way: the next tick commits the same watermarks or newer ones.
    Rebalancing,
    /// Another member owns the partitions, or the group has forgotten us: a rebalance follows, and
    /// nothing is committed before it.
    Disowned,
    /// Broker or network trouble: the next tick tries again.
    Trouble,
}

/// Paces commits: one in flight, at most one a tick unless it is urgent.
#[derive(Debug)]
pub struct Commits {
    interval: Duration,
    last: Instant,
    in_flight: Option<(Vec<Watermark>, Instant)>,
    quiet_until: Option<Instant>,
}

impl Commits {
    /// No commit yet.
    #[must_use]
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            last: now,
            in_flight: None,
            quiet_until: None,
        }
    }

    /// Whether to commit now.
    #[must_use]
    pub fn due(&self, urgency: Urgency, now: Instant) -> bool {
        let busy = self
            .in_flight
            .as_ref()
            .is_some_and(|(_, sent)| now - *sent < UNANSWERED);
        let quiet = self.quiet_until.is_some_and(|until| now < until);
        let time = urgency == Urgency::Urgent || now - self.last >= self.interval;
        time && !busy && !quiet
    }

    /// Whether no answer is awaited.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_none()
    }

    /// A tick has passed without anything to commit.
    pub fn idle(&mut self, now: Instant) {
        self.last = now;
    }

    /// These watermarks are on their way.
    pub fn sent(&mut self, watermarks: Vec<Watermark>, now: Instant) {
        self.last = now;
        self.in_flight = Some((watermarks, now));
    }

    /// A commit was answered: which of its watermarks are now committed. `element` tells the
    /// answer for one partition and offset, `None` if the answer does not speak of it.
    pub fn answered(
        &mut self,
        now: Instant,
        mut element: impl FnMut(TopicPartition, i64) -> Option<Result<(), Refusal>>,
    ) -> Vec<Watermark> {
        let Some((sent, at)) = self.in_flight.take() else {
            return Vec::new();
        };
        let speaks = |w: &Watermark, answer: &mut dyn FnMut(TopicPartition, i64) -> _| {
            Option::<Result<(), Refusal>>::is_some(&answer(w.partition, w.offset))
        };
        if !sent.iter().any(|watermark| speaks(watermark, &mut element)) {
            // The answer to an earlier commit that was given up.
            self.in_flight = Some((sent, at));
            return Vec::new();
        }
        let mut committed = Vec::with_capacity(sent.len());
        for watermark in sent {
            match element(watermark.partition, watermark.offset) {
                Some(Ok(())) => committed.push(watermark),
                Some(Err(Refusal::Disowned)) => self.quiet_until = Some(now + REFUSED),
                Some(Err(Refusal::Rebalancing | Refusal::Trouble)) | None => {}
            }
        }
        committed
    }

    /// Whether an answer is outstanding.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The group has moved on: what was refused may be allowed again.
    pub fn rebalanced(&mut self) {
        self.quiet_until = None;
    }

    /// The client is gone and with it every answer.
    pub fn forget(&mut self) {
        self.in_flight = None;
        self.quiet_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::intake::Epoch, *};
    use crate::record::TopicId;

    const P: TopicPartition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    const SECOND: Duration = Duration::from_secs(1);

    fn watermark(offset: i64) -> Watermark {
        Watermark {
            partition: P,
            epoch: Epoch(1),
            offset,
        }
    }

    #[test]
    fn one_commit_a_tick_and_one_in_flight() {
        let start = Instant::now();
        let mut commits = Commits::new(SECOND, start);
        assert!(!commits.due(Urgency::Routine, start));
        assert!(commits.due(Urgency::Urgent, start));
        assert!(commits.due(Urgency::Routine, start + SECOND));
        commits.sent(vec![watermark(7)], start + SECOND);
        assert!(
            !commits.due(Urgency::Urgent, start + SECOND * 3),
            "one is in flight"
        );
        let foreign = commits.answered(start + SECOND * 3, |_, _| None);
        assert!(foreign.is_empty() && commits.in_flight());
        let done = commits.answered(start + SECOND * 3, |_, _| Some(Ok(())));
        assert_eq!(done, [watermark(7)]);
        assert!(commits.due(Urgency::Routine, start + SECOND * 3));
    }

    #[test]
    fn an_unanswered_commit_does_not_block_for_ever() {
        let start = Instant::now();
        let mut commits = Commits::new(SECOND, start);
        commits.sent(vec![watermark(7)], start);
        assert!(commits.due(Urgency::Routine, start + UNANSWERED));
    }

    #[test]
    fn a_refused_commit_waits_for_the_rebalance() {
        let start = Instant::now();
        let mut commits = Commits::new(SECOND, start);
        commits.sent(vec![watermark(7)], start);
        let refused = commits.answered(start, |_, _| Some(Err(Refusal::Disowned)));
        assert!(refused.is_empty());
        assert!(!commits.due(Urgency::Urgent, start + SECOND));
        commits.rebalanced();
        assert!(commits.due(Urgency::Urgent, start + SECOND));
    }
}
