//! Decides which waiting effects go to a sink together, and when those go again that it put off.
//! Layer: core
//!
//! One group is on its way at a time. Effects of one *lane* (one document) are never in one group,
//! because stores promise no order inside a request; they go in groups one after the other, in the
//! order in which they came. What comes while a group is full waits behind it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::HashSet;

/// Sizes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Effects of one group; at least 1.
    pub effects: usize,
    /// Bytes of one group, by weight. An effect larger than that goes alone.
    pub bytes: usize,
    /// How long a group that is not full waits for company. An effect that had none in the last
    /// group does not wait.
    pub linger: Duration,
}

/// First wait after a sink was too busy for some effects; doubled each time in a row.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest such wait, before jitter.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// An effect that waits; `J` is what the shell keeps of it.
#[derive(Debug)]
struct Waiting<J> {
    lane: Option<u64>,
    weight: usize,
    job: J,
}

/// The group that is being filled, and what waits behind it.
#[derive(Debug)]
pub struct Grouping<J> {
    limits: GroupLimits,
    group: Vec<Waiting<J>>,
    bytes: usize,
    lanes: HashSet<u64>,
    closed: bool,
    behind: VecDeque<Waiting<J>>,
    /// Whether the last group had more than one effect.
    company: bool,
    /// Times in a row that a group was put off in part.
    put_off: u32,
}

/// What is known of a job that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Effects of one lane keep their order; `None` has no order to keep.
    pub lane: Option<u64>,
    /// Bytes it stands for.
    pub weight: usize,
}

impl<J> Grouping<J> {
    /// Nothing waits.
    #[must_use]
    pub fn new(limits: GroupLimits) -> Self {
        Self {
            limits,
            group: Vec::new(),
            bytes: 0,
            lanes: HashSet::new(),
            closed: false,
            behind: VecDeque::new(),
            company: false,
            put_off: 0,
        }
    }

    /// Adds an effect: to the group if it fits there, else behind it.
    pub fn offer(&mut self, size: Size, job: J) {
        let Size { lane, weight } = size;
        self.place(Waiting { lane, weight, job });
    }

    /// Whether another effect could still join the group. Bounds what waits behind it, too.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        !self.closed && self.behind.len() < self.limits.effects
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.group.is_empty()
    }

    /// Until when the group waits for company, if it was begun now.
    #[must_use]
    pub fn linger(&self, now: Instant) -> Instant {
        match self.company {
            true => now + self.limits.linger,
            false => now,
        }
    }

    /// Takes the group; what waited behind it forms the next one.
    pub fn take(&mut self) -> Vec<J> {
        let taken = std::mem::take(&mut self.group);
        self.company = taken.len() > 1;
        let behind = std::mem::take(&mut self.behind);
        self.refill(behind);
        taken.into_iter().map(|waiting| waiting.job).collect()
    }

    /// Puts effects of the group that was taken last in front of everything, in their order.
    pub fn again(&mut self, jobs: impl IntoIterator<Item = (Size, J)>) {
        let front = jobs.into_iter().map(|(size, job)| Waiting {
            lane: size.lane,
            weight: size.weight,
            job,
        });
        let group = std::mem::take(&mut self.group);
        let behind = std::mem::take(&mut self.behind);
        let all = front.chain(group).chain(behind).collect();
        self.refill(all);
    }

    /// A whole group of this many bytes was too large for the sink: the next ones have at most
    /// half of it. The limit stays, because what refuses large requests is a setting.
    pub fn too_large(&mut self, bytes: usize) {
        self.limits.bytes = self.limits.bytes.min(bytes / 2);
    }

    /// How long to leave the sink alone after it put effects off; `random` is uniform and spreads
    /// the processes of a fleet.
    pub fn busy(&mut self, random: u64) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.put_off.min(16));
        self.put_off = self.put_off.saturating_add(1);
        let wait = doubled.min(LONGEST_WAIT);
        let spread = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        wait + Duration::from_millis(random % spread)
    }

    /// A group went through whole.
    pub fn calm(&mut self) {
        self.put_off = 0;
    }

    fn refill(&mut self, waiting: VecDeque<Waiting<J>>) {
        self.bytes = 0;
        self.lanes.clear();
        self.closed = false;
        waiting.into_iter().for_each(|waiting| self.place(waiting));
    }

    /// Whoever waits behind the group for its lane has that lane in the group, so nobody overtakes
    /// him.
    fn place(&mut self, waiting: Waiting<J>) {
        let taken = waiting.lane.is_some_and(|lane| self.lanes.contains(&lane));
        let fits = self.bytes.saturating_add(waiting.weight) <= self.limits.bytes;
        self.closed |= !taken && !fits && !self.group.is_empty();
        if self.closed || taken {
            self.behind.push_back(waiting);
            return;
        }
        self.bytes = self.bytes.saturating_add(waiting.weight);
        self.lanes.extend(waiting.lane);
        self.group.push(waiting);
        self.closed = self.group.len() >= self.limits.effects || self.bytes >= self.limits.bytes;
    }
}

#[cfg(test)]
mod tests;
