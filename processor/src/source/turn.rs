//! The source thread: turn by turn it serves events, answers the group, commits and takes records.
//! Layer: shell

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Control,
    client::{Client, Closed},
    commits::Commits,
    events::{Answered, Event},
    facts::{FactsCell, Phase, Unreadable},
    gears::Gears,
    intake::{Intake, Watermark},
    ownership::{Owned, Ownership, State},
    rebalance::{Assigning, Draining},
    settings::SourceSettings,
    silence::Silence,
    supply::Supply,
    trouble::Troubles,
};
use crate::record::TopicPartition;

/// Longest wait for a record; events are served at least this often.
const IDLE: Duration = Duration::from_millis(20);

/// The same while nothing is on its way: an idle process hardly wakes up.
const QUIET: Duration = Duration::from_millis(100);

/// Wait for budget; a stop ends it early.
const HOLD: Duration = Duration::from_millis(5);

/// Between two looks at what changes slowly.
const TICK: Duration = Duration::from_millis(250);

/// Most events served in one turn.
const EVENTS: usize = 64;

/// How long leaving the group and closing the client may take.
pub(super) const CLOSE: Duration = Duration::from_secs(5);

/// Everything that the source thread owns. The supply borrows from the client and goes first.
pub(super) struct Turns {
    pub(super) supply: Supply,
    pub(super) client: Client,
    pub(super) settings: SourceSettings,
    pub(super) intake: Box<dyn Intake>,
    pub(super) ownership: Ownership,
    pub(super) gears: Gears,
    pub(super) silence: Silence,
    pub(super) commits: Commits,
    pub(super) assigning: Option<Assigning>,
    pub(super) draining: Option<Draining>,
    /// First offsets of partitions that the group has no commit for, until one is acknowledged.
    pub(super) beginnings: Vec<Watermark>,
    pub(super) stopping: bool,
    pub(super) facts: FactsCell,
    pub(super) troubles: Troubles,
    pub(super) control: Arc<Control>,
    pub(super) too_large: bool,
    next_tick: Instant,
    pub(super) next_rebuild: Instant,
    pub(super) fatal: bool,
}

impl Turns {
    pub(super) fn new(
        settings: SourceSettings,
        client: Client,
        intake: Box<dyn Intake>,
        (control, facts): (Arc<Control>, FactsCell),
    ) -> Self {
        let now = Instant::now();
        Self {
            supply: Supply::new(client.batch(), settings.max_message_bytes),
            client,
            intake,
            ownership: Ownership::default(),
            gears: Gears::default(),
            silence: Silence::default(),
            commits: Commits::new(settings.commit_interval, now),
            assigning: None,
            draining: None,
            beginnings: Vec::new(),
            stopping: false,
            facts,
            troubles: Troubles::default(),
            control,
            next_tick: now,
            next_rebuild: now,
            too_large: false,
            fatal: false,
            settings,
        }
    }

    /// Runs until a stop is asked for and done.
    pub(super) fn run(mut self) -> Closed {
        while !(self.stopping && self.draining.is_none() && self.assigning.is_none()) {
            let now = Instant::now();
            if let (false, Some(grace)) = (self.stopping, self.control.stopping()) {
                self.begin_stop(grace, now);
            }
            self.serve(now);
            self.progress_assign(now);
            self.progress_revoke(now);
            self.routine_commit(now);
            if now >= self.next_tick {
                self.next_tick = now + TICK;
                self.tick(now);
            }
            self.records(now);
        }
        self.close()
    }

    fn close(self) -> Closed {
        let Self {
            supply,
            client,
            facts,
            ..
        } = self;
        drop(supply);
        let closed = client.close(Instant::now() + CLOSE);
        facts.update(|facts| {
            facts.phase = Phase::Closed;
            facts.partitions.clear();
        });
        closed
    }

    /// Serves the main queue until it is empty.
    fn serve(&mut self, now: Instant) {
        for _ in 0..EVENTS {
            let (events, stray) = self.client.serve();
            if events.is_empty() && stray.is_none() {
                return;
            }
            for event in events {
                self.handle(event, now);
            }
            if let Some((partition, offset)) = stray {
                self.facts.update(|facts| facts.faults.on_main_queue += 1);
                self.forward(partition);
                self.read_again(partition, Some(offset));
            }
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Assign(named) => self.begin_assign(named, now),
            Event::Revoke(named) => self.begin_revoke(named, now),
            Event::Lost(named) => self.lose(&self.client.identify_all(&named)),
            Event::Committed(answers) => self.committed(&answers, now),
            Event::Error(complaint) => self.hear(complaint, now),
        }
    }

    /// Reads a partition again from the first record that was not admitted.
    pub(super) fn read_again(&mut self, partition: TopicPartition, otherwise: Option<i64>) {
        self.supply.disown(partition);
        let Some(offset) = self.ownership.rewind(partition, otherwise) else {
            return;
        };
        if let Err(error) = self.client.read_from(partition, offset) {
            tracing::warn!(%error, ?partition, offset, "cannot read a partition again");
            self.facts.update(|facts| facts.faults.refused += 1);
        }
    }

    fn committed(&mut self, answers: &[Answered], now: Instant) {
        let client = &self.client;
        let element = |partition: TopicPartition, offset: i64| {
            let found = answers.iter().find(|answered| {
                answered.offset == offset
                    && client.identify(answered.named.topic.as_bytes(), answered.named.partition)
                        == Some(partition)
            });
            found.map(|answered| answered.answer)
        };
        let done = self.commits.answered(now, element);
        let refused = answers
            .iter()
            .filter(|answered| answered.answer.is_err())
            .count();
        self.facts.update(|facts| {
            facts.faults.commits += refused as u64;
            facts.last_commit = if done.is_empty() {
                facts.last_commit
            } else {
                Some(now)
            };
        });
        if !done.is_empty() {
            self.things_go_well();
        }
        let beginnings = std::mem::take(&mut self.beginnings);
        let (ours, theirs): (Vec<_>, Vec<_>) = done
            .into_iter()
            .partition(|watermark| beginnings.contains(watermark));
        self.beginnings = beginnings
            .into_iter()
            .filter(|begin| !ours.contains(begin))
            .collect();
        if !theirs.is_empty() {
            self.intake.acknowledged(&theirs);
        }
    }

    fn routine_commit(&mut self, now: Instant) {
        // The last commit of partitions that go is waited for: nothing overtakes it.
        let last = self.draining.as_ref().is_some_and(Draining::is_committing);
        if last || !self.commits.due(self.intake.urgency(), now) {
            return;
        }
        let mut watermarks = Vec::new();
        self.intake.watermarks(&mut watermarks);
        self.beginnings
            .retain(|begin| !watermarks.iter().any(|w| w.partition == begin.partition));
        watermarks.extend_from_slice(&self.beginnings);
        if !self.commit(watermarks, now) {
            self.commits.idle(now);
        }
    }

    /// Sends a commit; false when there is none to wait for.
    pub(super) fn commit(&mut self, watermarks: Vec<Watermark>, now: Instant) -> bool {
        if watermarks.is_empty() {
            return false;
        }
        match self.client.commit(&watermarks) {
            Ok(()) => {
                self.commits.sent(watermarks, now);
                true
            }
            Err(code) => {
                tracing::warn!(?code, "cannot send a commit");
                self.facts.update(|facts| facts.faults.commits += 1);
                false
            }
        }
    }

    /// Takes records, or waits for room or for records.
    fn records(&mut self, now: Instant) {
        if self.stopping {
            thread::park_timeout(HOLD);
            return;
        }
        if self.supply.is_empty() {
            let patience = self.patience();
            let found = self
                .supply
                .refill(&self.client, &mut self.ownership, patience);
            self.account(found, now);
        }
        let admission = self.supply.offer(&mut *self.intake, &mut self.ownership);
        if let Some(partition) = self.gears.observe(admission.held, now) {
            self.pause(partition, now);
        } else if admission.taken == 0 && !self.supply.is_empty() {
            thread::park_timeout(HOLD);
        }
    }

    /// A pending revoke delivers nothing and must be answered soon; so must what a commit or an
    /// assignment waits for.
    fn patience(&self) -> Duration {
        let settled = self.assigning.is_none() && !self.ownership.is_empty();
        match self.draining {
            Some(_) => HOLD,
            None if settled && self.beginnings.is_empty() && self.commits.is_quiet() => QUIET,
            None => IDLE,
        }
    }

    fn account(&mut self, found: super::supply::Found, now: Instant) {
        let unreadable = found.unreadable.map(|(position, code)| Unreadable {
            position,
            code,
            seen: now,
        });
        if found.faults != super::facts::Faults::default() {
            self.facts.update(|facts| {
                facts.faults.unowned += found.faults.unowned;
                facts.faults.backwards += found.faults.backwards;
                facts.faults.unreadable += found.faults.unreadable;
                facts.unreadable = unreadable.or(facts.unreadable);
            });
        }
        let backwards = found.backwards.iter().map(|at| at.partition);
        for partition in backwards.collect::<BTreeSet<_>>() {
            self.read_again(partition, None);
        }
    }

    /// Second gear, if it helps anybody: another partition has lag and may go on.
    fn pause(&mut self, partition: TopicPartition, now: Instant) {
        let others = self
            .ownership
            .iter()
            .filter(|(p, o)| *p != partition && o.state == State::Reading);
        if !others.into_iter().any(|(p, owned)| self.lag(p, owned) > 0) {
            thread::park_timeout(HOLD);
            return;
        }
        match self.client.pause(partition) {
            Ok(()) => {
                self.ownership.set_state(partition, State::Paused);
                self.gears.pause(partition, now);
            }
            Err(error) => {
                tracing::warn!(%error, ?partition, "cannot pause a partition");
                self.facts.update(|facts| facts.faults.refused += 1);
                thread::park_timeout(HOLD);
            }
        }
    }

    pub(super) fn resume(&mut self, partition: TopicPartition) {
        self.supply.disown(partition);
        let Some(offset) = self.ownership.rewind(partition, None) else {
            self.gears.forget(partition);
            return;
        };
        match self.client.read_from(partition, offset) {
            Ok(()) => {
                self.ownership.set_state(partition, State::Reading);
                self.gears.forget(partition);
            }
            Err(error) => {
                tracing::warn!(%error, ?partition, offset, "cannot resume a partition yet");
                self.facts.update(|facts| facts.faults.refused += 1);
            }
        }
    }

    pub(super) fn lag(&self, partition: TopicPartition, owned: &Owned) -> i64 {
        let read = self
            .ownership
            .seen(partition)
            .map(|seen| seen + 1)
            .or(owned.next)
            .unwrap_or(0);
        self.client.end(partition).map_or(0, |end| end - read)
    }
}
