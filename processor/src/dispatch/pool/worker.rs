//! A worker's seat: settles what it holds and takes more, under one lock where that is possible.
//! Layer: shell

use std::{
    mem,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
};

use super::{
    Shared,
    partition::{Inner, Partition},
    ready::PoolId,
};
use crate::{
    dispatch::{
        engine::{Blame, Engine, Taken, Tick, Ticket},
        ledger::Released,
    },
    record::TopicPartition,
};

/// Records that a worker takes at most at once.
pub const TURN: u32 = 32;

/// What the worker's stages wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// Nothing: several records of different keys may be taken at once while many keys are ready.
    Local,
    /// Other systems: one record at a time, so that none waits behind another's answer.
    Remote,
}

/// What [`Worker::next`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Records: [`Worker::pop`] gives them.
    Turn,
    /// The dispatcher is closed.
    Closed,
}

/// Which record of the turn an outcome belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat(usize);

/// A record to work on.
#[derive(Debug)]
pub struct Job<T> {
    /// To be handed to [`Worker::settle`].
    pub seat: Seat,
    /// Its partition.
    pub partition: TopicPartition,
    /// Its lane: 0 is inline, the others are detached stages in their order.
    pub lane: u8,
    /// Its offset.
    pub offset: i64,
    /// Attempts in this lane that the record itself spoiled.
    pub attempts: u16,
    /// The record.
    pub payload: T,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// In a terminal state: its offset may be committed.
    Complete,
    /// On to the next lane; from the last one this is `Complete`.
    Advance(T),
    /// Again later, at the head of its key.
    Park {
        /// The record.
        payload: T,
        /// When.
        until: Tick,
        /// Whether the attempt counts.
        blame: Blame,
    },
    /// Never in this epoch: the key waits.
    Block(T),
}

/// Where a record of the turn stands.
enum Progress<T> {
    Waiting {
        offset: i64,
        attempts: u16,
        payload: T,
    },
    InHand,
    Settled(Outcome<T>),
}

/// A worker of one pool. What it holds when it is dropped goes back to its key, except for records
/// in hand, whose payload is gone: they block their key and are repeated in the next epoch.
pub struct Worker<T> {
    shared: Arc<Shared<T>>,
    pool: PoolId,
    locality: Locality,
    source: Option<(Arc<Partition<T>>, u8)>,
    turn: Vec<(Ticket, Progress<T>)>,
    cursor: usize,
}

/// What happens after a settlement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The same worker serves its pool next, so it need not wake another.
    Serve,
    /// It does not.
    Leave,
}

impl<T> Worker<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, pool: PoolId, locality: Locality) -> Self {
        shared.pools[usize::from(pool.0)]
            .workers()
            .fetch_add(1, Relaxed);
        let turn = Vec::with_capacity(TURN as usize);
        Self {
            shared,
            pool,
            locality,
            source: None,
            turn,
            cursor: 0,
        }
    }

    /// Settles the last turn and waits for the next. Records of the last turn that were popped and
    /// not settled are abandoned; those that were not popped go back.
    ///
    /// Cancel safe: what was settled is settled, and a wake that is not used is passed on.
    pub async fn next(&mut self) -> Next {
        loop {
            if self.serve() {
                return Next::Turn;
            }
            let shared = Arc::clone(&self.shared);
            let woken = shared.pools[usize::from(self.pool.0)].sleep();
            // Closing and resuming wake only those that already sleep, so look once more.
            if self.serve() {
                return Next::Turn;
            }
            if shared.closed.load(SeqCst) {
                return Next::Closed;
            }
            woken.await;
        }
    }

    /// The next record of the turn.
    pub fn pop(&mut self) -> Option<Job<T>> {
        let (partition, lane) = self.source.as_ref()?;
        let (_, progress) = self.turn.get_mut(self.cursor)?;
        let seat = Seat(self.cursor);
        self.cursor += 1;
        match mem::replace(progress, Progress::InHand) {
            Progress::Waiting {
                offset,
                attempts,
                payload,
            } => {
                let (partition, lane) = (partition.id(), *lane);
                Some(Job {
                    seat,
                    partition,
                    lane,
                    offset,
                    attempts,
                    payload,
                })
            }
            Progress::InHand | Progress::Settled(_) => None,
        }
    }

    /// Records how the run of a record of this turn ended; takes effect with [`Worker::next`] or
    /// [`Worker::finish`].
    ///
    /// # Panics
    /// When the seat is not one of this turn, or was settled before.
    pub fn settle(&mut self, seat: Seat, outcome: Outcome<T>) {
        let progress = &mut self.turn[seat.0].1;
        assert!(
            matches!(progress, Progress::InHand),
            "a record in hand is settled once"
        );
        *progress = Progress::Settled(outcome);
    }

    /// Settles the turn without taking another.
    pub fn finish(&mut self) {
        self.end_turn(Then::Leave);
    }

    /// Settles the turn and takes the next; whether there was one.
    fn serve(&mut self) -> bool {
        if self.end_turn(Then::Serve) {
            return true;
        }
        while self.may_serve()
            && let Some(listed) = self.shared.pools[usize::from(self.pool.0)].pop()
        {
            let partition = listed.partition;
            let mut inner = partition.lock();
            let filled = self.fill(&partition, &mut inner, listed.lane);
            drop(inner);
            if filled {
                return true;
            }
        }
        false
    }

    fn may_serve(&self) -> bool {
        !self.shared.closed.load(SeqCst) && !self.shared.held.load(SeqCst)
    }

    /// Gives every record of the turn its outcome. Whether the next turn was taken under the same
    /// lock, which is so when this partition is also the first on the ready list.
    fn end_turn(&mut self, then: Then) -> bool {
        let Some((partition, lane)) = self.source.take() else {
            return false;
        };
        let (mut released, mut parks) = (Released::default(), false);
        let mut inner = partition.lock();
        for (ticket, progress) in self.turn.drain(..) {
            parks |= matches!(progress, Progress::Settled(Outcome::Park { .. }));
            released.add(apply(&mut inner.engine, ticket, progress));
        }
        self.cursor = 0;
        for lane in lane..self.shared.lanes.count().min(lane + 2) {
            self.list(&partition, &mut inner, lane, then);
        }
        let mut filled = false;
        if then == Then::Serve && self.may_serve() {
            let pool = &self.shared.pools[usize::from(self.pool.0)];
            if let Some(listed) = pool.pop_if(&partition) {
                filled = self.fill(&partition, &mut inner, listed.lane);
            }
        }
        drop(inner);
        self.shared.release(released);
        if parks {
            self.shared.parked.notify_one();
        }
        filled
    }

    fn list(&self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>, lane: u8, then: Then) {
        let own = self.shared.lanes.0[usize::from(lane)] == self.pool;
        if !(own && then == Then::Serve) {
            self.shared.list(partition, inner, lane);
        } else if inner.must_list(lane) {
            self.shared.pool_of(lane).push(partition, lane);
        }
    }

    fn fill(&mut self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>, lane: u8) -> bool {
        inner.unlisted(lane);
        let pool = &self.shared.pools[usize::from(self.pool.0)];
        let size = match self.locality {
            Locality::Local => pool.turn(inner.engine.ready(lane), TURN),
            Locality::Remote => 1,
        };
        for _ in 0..size {
            let Some(taken) = inner.engine.take(lane) else {
                break;
            };
            let Taken {
                ticket,
                offset,
                attempts,
                payload,
            } = taken;
            self.turn.push((
                ticket,
                Progress::Waiting {
                    offset,
                    attempts,
                    payload,
                },
            ));
        }
        self.shared.list(partition, inner, lane);
        if self.turn.is_empty() {
            return false;
        }
        self.source = Some((Arc::clone(partition), lane));
        true
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.end_turn(Then::Leave);
        let pool = &self.shared.pools[usize::from(self.pool.0)];
        pool.workers().fetch_sub(1, Relaxed);
        // A wake that this worker was about to use is for another.
        pool.wake_one();
    }
}

fn apply<T>(engine: &mut Engine<T>, ticket: Ticket, progress: Progress<T>) -> Released {
    match progress {
        Progress::Waiting { payload, .. } => engine.give_back(ticket, payload),
        Progress::InHand => engine.abandon(ticket),
        Progress::Settled(Outcome::Complete) => engine.complete(ticket),
        Progress::Settled(Outcome::Advance(payload)) => engine.advance(ticket, payload),
        Progress::Settled(Outcome::Park {
            payload,
            until,
            blame,
        }) => engine.park(ticket, payload, until, blame),
        Progress::Settled(Outcome::Block(payload)) => engine.block(ticket, payload),
    }
}
