//! Answers to the group: partitions taken over, drained, given back, lost.
//! Layer: shell

use std::time::{Duration, Instant};

use super::{
    events::{Named, report},
    facts::Phase,
    intake::{Assigned, Watermark},
    ownership::State,
    turn::Turns,
};
use crate::record::TopicPartition;

/// How long the last commit of revoked partitions may take.
const LAST_COMMIT: Duration = Duration::from_secs(1);

/// After this time an assign goes ahead although the committed offsets cannot be read.
const UNKNOWN_STARTS: Duration = Duration::from_secs(15);

/// An assign that waits for the committed offsets.
pub(super) struct Assigning {
    named: Vec<Named>,
    since: Instant,
}

/// Partitions that are about to go.
pub(super) struct Draining {
    partitions: Vec<TopicPartition>,
    /// The revoke to answer; none when we stop by ourselves.
    answer: Option<Vec<Named>>,
    deadline: Instant,
    /// Set once the last commit is on its way.
    commit_deadline: Option<Instant>,
}

impl Draining {
    /// Whether the last commit is on its way.
    pub(super) fn is_committing(&self) -> bool {
        self.commit_deadline.is_some()
    }
}

impl Turns {
    /// The group gives partitions.
    pub(super) fn begin_assign(&mut self, named: Vec<Named>, now: Instant) {
        self.assigning = Some(Assigning { named, since: now });
    }

    /// Answers a pending assign as soon as the committed offsets are known.
    pub(super) fn progress_assign(&mut self, now: Instant) {
        let Some(Assigning { named, since }) = self.assigning.take() else {
            return;
        };
        if self.stopping {
            // Nothing is read any more; the close gives the partitions back.
            let starts = self.client.unknown_starts(&named);
            report("assign", self.client.assign(&starts));
            return;
        }
        let starts = match self.client.starts(&named) {
            Ok(starts) => starts,
            Err(error) if now - since < UNKNOWN_STARTS => {
                tracing::warn!(%error, "cannot read committed offsets yet");
                self.facts.update(|facts| facts.faults.refused += 1);
                self.assigning = Some(Assigning { named, since });
                return;
            }
            Err(_) => self.client.unknown_starts(&named),
        };
        let partitions = self.client.identify_all(&named);
        let mut assigned = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let begin = starts.begin.get(&partition).copied();
            let committed = starts.committed.get(&partition).copied();
            let epoch = self.ownership.assign(partition, begin);
            self.forward(partition);
            assigned.push(Assigned {
                partition,
                epoch,
                committed,
            });
            if let (None, Some(offset)) = (committed, begin) {
                self.beginnings.push(Watermark {
                    partition,
                    epoch,
                    offset,
                });
            }
        }
        self.things_go_well();
        self.intake.assign(&assigned);
        if let Err(error) = self.client.assign(&starts) {
            // The group has moved on while the offsets were read.
            tracing::warn!(%error, "an assign came too late");
            let partitions: Vec<_> = assigned.iter().map(|given| given.partition).collect();
            self.lose(&partitions);
        }
        self.commits.rebalanced();
        self.facts.update(|facts| {
            facts.rebalances += 1;
            facts.phase = Phase::Running;
        });
    }

    /// Sends the partition's records to our queue.
    pub(super) fn forward(&self, partition: TopicPartition) {
        if let Err(error) = self.client.forward(partition) {
            tracing::warn!(%error, "cannot forward a partition");
            self.facts.update(|facts| facts.faults.refused += 1);
        }
    }

    /// The group takes partitions back.
    pub(super) fn begin_revoke(&mut self, named: Vec<Named>, now: Instant) {
        let deadline = now + self.settings.drain_deadline;
        self.facts.update(|facts| facts.rebalances += 1);
        if let Some(draining) = &mut self.draining {
            // We are stopping and drain everything anyway; the group does not wait that long.
            draining.deadline = draining.deadline.min(deadline);
            draining.answer.get_or_insert_default().extend(named);
            return;
        }
        self.drain(self.client.identify_all(&named), Some(named), deadline);
    }

    /// Everything goes: the process is asked to stop.
    pub(super) fn begin_stop(&mut self, grace: Duration, now: Instant) {
        self.stopping = true;
        self.facts.update(|facts| facts.phase = Phase::Stopping);
        let pending = self.draining.take().and_then(|draining| draining.answer);
        self.supply.clear();
        self.drain(self.ownership.all(), pending, now + grace);
    }

    fn drain(
        &mut self,
        partitions: Vec<TopicPartition>,
        answer: Option<Vec<Named>>,
        deadline: Instant,
    ) {
        for partition in &partitions {
            self.ownership.set_state(*partition, State::Revoking);
        }
        self.intake.begin_revoke(&partitions);
        self.draining = Some(Draining {
            partitions,
            answer,
            deadline,
            commit_deadline: None,
        });
    }

    /// Gives draining partitions back once nothing runs on them and their last commit is answered,
    /// or their time is up.
    pub(super) fn progress_revoke(&mut self, now: Instant) {
        let Some(mut draining) = self.draining.take() else {
            return;
        };
        let done = match draining.commit_deadline {
            None if now < draining.deadline && self.intake.running(&draining.partitions) > 0 => {
                false
            }
            None => {
                draining.commit_deadline = Some(now + LAST_COMMIT);
                let last = self.intake.finish_revoke(&draining.partitions);
                self.forget(&draining.partitions);
                !self.commit(last, now)
            }
            Some(deadline) => !self.commits.in_flight() || now >= deadline,
        };
        if !done {
            self.draining = Some(draining);
        } else if let Some(named) = draining.answer {
            self.client.unassign(&named);
            self.commits.rebalanced();
        }
    }

    /// Partitions are gone already; the callback has answered.
    pub(super) fn lose(&mut self, partitions: &[TopicPartition]) {
        self.intake.lose(partitions);
        self.forget(partitions);
        self.commits.rebalanced();
        self.facts.update(|facts| facts.rebalances += 1);
        if let Some(draining) = &mut self.draining {
            draining
                .partitions
                .retain(|partition| !partitions.contains(partition));
            draining.answer = None;
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.lift_pause(*partition);
            self.ownership.remove(*partition);
            self.gears.forget(*partition);
            self.silence.forget(*partition);
        }
        self.beginnings
            .retain(|begin| !partitions.contains(&begin.partition));
    }

    fn lift_pause(&self, partition: TopicPartition) {
        if !self.gears.is_paused(partition) {
            return;
        }
        if let Err(error) = self.client.resume(partition) {
            tracing::warn!(%error, ?partition, "cannot lift the pause of a partition that goes");
            self.facts.update(|facts| facts.faults.refused += 1);
        }
    }
}
