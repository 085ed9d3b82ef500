//! One partition's state machine: admission, order per key, lanes, watermark, epochs.
//! Layer: core
//!
//! It knows no clock, no client, no task: whoever holds it (see [`super::pool`]) brings time and
//! workers. Everything grows to its planned bound; from then on no operation allocates.

mod epoch;
mod facts;
mod settle;

use std::{cmp::Reverse, collections::BinaryHeap};

pub use facts::{EngineFacts, LaneFacts};

use super::{
    hot::HotKeys,
    invariants,
    key::Key,
    lane::Lane,
    ledger::{Ledger, Released},
    near,
    node::{Node, Place},
    ring::SequenceRing,
    slab::{NIL, Slab},
};
pub use crate::record::Epoch;

/// A moment, milliseconds of the caller's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

/// What a partition may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unfinished records.
    pub records: u32,
    /// Charges of unfinished records, bytes.
    pub bytes: u64,
    /// Records admitted and not covered by an acknowledged commit: what a crash repeats.
    pub window: u32,
    /// Records in flight in the inline stages (lane 0).
    pub running: u32,
    /// Records in flight in each detached lane.
    pub detached_running: u32,
}

/// What is in the way of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The partition holds as many unfinished records as it may.
    Records,
    /// The partition holds as many bytes as it may.
    Bytes,
    /// A crash would repeat too much: a commit must be acknowledged first.
    Window,
    /// The partition is over its fair share of the pod's bytes and the pod has little left.
    Share,
    /// The pod's bytes are used up, by whichever partition.
    Pod,
    /// A gate is closed.
    Gate,
    /// The partition is not assigned, or is being revoked.
    Epoch,
    /// The offset is not above the last admitted one: a fault of the source, which must seek.
    Backwards {
        /// Lowest offset that would be in order.
        expected: i64,
    },
}

/// A record that was not admitted.
#[derive(Debug)]
pub struct Refused<T> {
    /// The record, unharmed.
    pub payload: T,
    /// What was in the way.
    pub why: Full,
}

/// Proof that a record is in flight; spent by whatever ends its run.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is dropped leaves its key running for ever"]
pub struct Ticket {
    pub(super) epoch: Epoch,
    pub(super) sequence: u64,
    pub(super) charge: u64,
    pub(super) node: u32,
    pub(super) lane: u8,
}

/// A record for a worker.
#[derive(Debug)]
pub struct Taken<T> {
    /// Spent when the run ends.
    pub ticket: Ticket,
    /// Offset of the record.
    pub offset: i64,
    /// Attempts in this lane that the record itself spoiled.
    pub attempts: u16,
    /// The record.
    pub payload: T,
}

/// Who a failed run is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The record: the attempt counts.
    Record,
    /// A sink: the attempt does not count.
    Sink,
}

/// Life of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not assigned.
    Idle,
    /// Admits and hands out records.
    Consuming,
    /// Being revoked: only running records end.
    Draining,
}

/// A partition's budgets in use, records to come included.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    held: Ledger,
    window: u64,
    last: Option<i64>,
}

impl Ahead {
    /// What the engine holds now.
    #[must_use]
    pub fn nothing<T>(engine: &Engine<T>) -> Self {
        Self {
            held: engine.held,
            window: engine.ring.window(),
            last: engine.ring.last(),
        }
    }

    /// Bytes and records.
    #[must_use]
    pub fn held(&self) -> &Ledger {
        &self.held
    }

    /// Records that a crash would repeat.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Counts one more record.
    pub fn admit(&mut self, offset: i64, charge: u64) {
        self.held.reserve(charge);
        self.window += 1;
        self.last = Some(offset);
    }
}

/// How many runs ahead a record is asked for: long enough for memory to answer.
const SOON: usize = 8;

/// A key waiting for its retry time: when, in which order, which node.
type Due = Reverse<(Tick, u64, u32)>;

/// The state machine. `T` is the record as the caller knows it.
#[derive(Clone)]
pub struct Engine<T> {
    pub(super) state: State,
    pub(super) epoch: Epoch,
    pub(super) limits: Limits,
    pub(super) nodes: Slab<Node<T>>,
    pub(super) lanes: Vec<Lane>,
    pub(super) ring: SequenceRing,
    pub(super) due: BinaryHeap<Due>,
    pub(super) held: Ledger,
    /// Records of ended epochs that a worker still holds.
    pub(super) stale: Ledger,
    pub(super) hot: HotKeys,
}

impl<T> Engine<T> {
    /// A partition that is not assigned.
    ///
    /// `lanes` counts the inline lane and each detached stage.
    ///
    /// # Panics
    /// When `lanes` is 0.
    #[must_use]
    pub fn new(lanes: u8, limits: Limits) -> Self {
        assert!(lanes > 0, "a record passes at least the inline lane");
        Self {
            state: State::Idle,
            epoch: Epoch(0),
            limits,
            nodes: Slab::new(),
            lanes: (0..lanes).map(|_| Lane::new()).collect(),
            ring: SequenceRing::new(0),
            due: BinaryHeap::new(),
            held: Ledger::default(),
            stale: Ledger::default(),
            hot: HotKeys::new(),
        }
    }

    /// Changes the limits; what is held already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes a record in, behind the others of its key. `charge` is its true cost in bytes.
    ///
    /// # Errors
    /// When a budget would be exceeded with this record counted, or the epoch does not admit. A
    /// charge above the whole byte budget is admitted when the partition is empty.
    pub fn admit(
        &mut self,
        offset: i64,
        key: Key,
        charge: u64,
        payload: T,
    ) -> Result<(), Refused<T>> {
        if let Some(why) = self.obstacle(offset, charge) {
            return Err(Refused { payload, why });
        }
        match key {
            Key::Hash(hash) => self.hot.record(hash),
            Key::Spread => self.hot.spread(),
        }
        self.held.reserve(charge);
        let bound = self.limits.records as usize;
        let node = Node::new(payload, key, self.ring.push(offset), charge);
        let at = self.nodes.insert(node, bound);
        self.lanes[0].append(&mut self.nodes, at, bound);
        debug_assert!(invariants::window_is_bounded(
            self.ring.window(),
            self.limits.window
        ));
        Ok(())
    }

    /// What would keep a record out; `None` when it would be admitted.
    #[must_use]
    pub fn obstacle(&self, offset: i64, charge: u64) -> Option<Full> {
        self.obstacle_behind(&Ahead::nothing(self), offset, charge)
    }

    /// [`Engine::obstacle`], with the records in `ahead` counted as admitted.
    #[must_use]
    pub fn obstacle_behind(&self, ahead: &Ahead, offset: i64, charge: u64) -> Option<Full> {
        if self.state != State::Consuming {
            return Some(Full::Epoch);
        }
        // Nothing comes before offset 0.
        let last = ahead.last.unwrap_or(-1);
        if !invariants::offsets_rise(last, offset) {
            return Some(Full::Backwards { expected: last + 1 });
        }
        if ahead.held.records() >= u64::from(self.limits.records) {
            return Some(Full::Records);
        }
        if ahead.window >= u64::from(self.limits.window) {
            return Some(Full::Window);
        }
        (!ahead.held.fits(charge, self.limits.bytes)).then_some(Full::Bytes)
    }

    /// Hands out the record whose key has been ready longest, if the lane may run one more.
    pub fn take(&mut self, lane: u8) -> Option<Taken<T>> {
        if !self.may_take(lane) {
            return None;
        }
        let state = &mut self.lanes[usize::from(lane)];
        let at = state.start()?;
        let node = &mut self.nodes[at];
        debug_assert_eq!(node.place, Place::Ready, "the ready list holds ready keys");
        node.place = Place::Running;
        let payload = node
            .payload
            .take()
            .expect("a waiting node holds its payload");
        let ticket = Ticket {
            epoch: self.epoch,
            sequence: node.sequence,
            charge: node.charge,
            node: at,
            lane,
        };
        let (hash, attempts, next) = (node.hash, node.attempts, node.next);
        // The end of the run will look at these, and the runs to come at that.
        state.index.foresee(hash);
        if next != NIL {
            near::fetch(&self.nodes[next]);
        }
        if let Some(&soon) = state.ready.get(SOON) {
            near::fetch(&self.nodes[soon]);
        }
        Some(Taken {
            offset: self.ring.offset(ticket.sequence),
            ticket,
            attempts,
            payload,
        })
    }

    /// Asks for the memory that the admission of records of these keys will look at, and changes
    /// nothing. Called for a batch before its first record is admitted, it lets all of it come at
    /// once instead of one after the other.
    pub fn foresee(&self, keys: impl Iterator<Item = Key> + Clone) {
        let index = &self.lanes[0].index;
        let hashes = keys.filter_map(|key| match key {
            Key::Hash(hash) => Some(hash),
            Key::Spread => None,
        });
        hashes.clone().for_each(|hash| index.foresee(hash));
        let oldest = hashes.filter_map(|hash| index.first(hash));
        oldest.clone().for_each(|at| near::fetch(&self.nodes[at]));
        // A record that finds its key waiting goes behind the last one.
        let last = oldest.map(|at| self.nodes[at].tail);
        last.for_each(|at| near::fetch(&self.nodes[at]));
    }

    /// Whether [`Engine::take`] would hand out a record.
    #[must_use]
    pub fn may_take(&self, lane: u8) -> bool {
        let state = &self.lanes[usize::from(lane)];
        self.state == State::Consuming && !state.ready.is_empty() && state.running < self.cap(lane)
    }

    /// Keys of a lane that wait for a worker.
    #[must_use]
    pub fn ready(&self, lane: u8) -> u32 {
        narrow(self.lanes[usize::from(lane)].ready.len())
    }

    /// Makes every key ready whose time has come.
    pub fn tick(&mut self, now: Tick) {
        while let Some(&Reverse((until, sequence, at))) = self.due.peek()
            && until <= now
        {
            self.due.pop();
            let node = &self.nodes[at];
            debug_assert_eq!(node.sequence, sequence, "a parked node stays in its cell");
            self.lanes[usize::from(node.lane)].unpark(&mut self.nodes, at);
        }
    }

    /// The broker confirmed a commit of `position` (the next offset to read) in this epoch.
    pub fn acknowledged(&mut self, position: i64) {
        self.ring.acknowledge(position);
    }

    /// Next offset to commit: every record below it is done. `None` until the first is, and after
    /// the epoch ended.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        if self.state == State::Idle {
            None
        } else {
            self.ring.watermark()
        }
    }

    /// Checks every structural invariant; `O(records)`, for tests and the slow tick of a debug
    /// build.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), invariants::Violation> {
        invariants::check(self)
    }

    /// Whether a key waits for its retry time.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        !self.due.is_empty()
    }

    fn cap(&self, lane: u8) -> u32 {
        if lane == 0 {
            self.limits.running
        } else {
            self.limits.detached_running
        }
    }
}

fn narrow(keys: usize) -> u32 {
    u32::try_from(keys).expect("records of a partition fit into 32 bits")
}
