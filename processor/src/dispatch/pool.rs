//! The pod's dispatcher: every partition's engine behind its lock, one byte budget, worker wakes.
//! Layer: shell
//!
//! Locks are held for a few steps of a state machine and never across an await. Their order is
//! map of partitions, partition, then ready list or pod ledger.

mod partition;
mod ready;
mod share;
mod worker;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::{Mutex, RwLock};

pub use partition::PartitionFacts;
pub use ready::PoolId;
pub use worker::{Job, Locality, Next, Outcome, Seat, TURN, Worker};

use self::{
    partition::{Inner, Partition},
    ready::Pool,
};
use super::{
    engine::{Ahead, Engine, Epoch, Full, Limits, State, Tick},
    key::Key,
    ledger::{Ledger, Released},
};
use crate::record::TopicPartition;

/// Which pool of workers serves which lane; lane 0 holds the inline stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes(Vec<PoolId>);

/// Lanes fit into the bits of a `u32`.
const MOST_LANES: usize = 32;

impl Lanes {
    /// The inline lane in pool 0 and one lane per detached stage, all of them in pool 1.
    ///
    /// # Panics
    /// When there are more than 31 detached stages, which validation of the object rules out.
    #[must_use]
    pub fn with_detached(stages: usize) -> Self {
        assert!(
            stages < MOST_LANES,
            "validation bounds the number of stages"
        );
        Self(
            (0..=stages)
                .map(|lane| PoolId(u8::from(lane > 0)))
                .collect(),
        )
    }

    /// As [`Lanes::with_detached`], with a pool for each detached stage, so that a slow one takes
    /// no worker from another: stage `n` (from 1) is served by pool `n`.
    ///
    /// # Panics
    /// When there are more than 31 detached stages.
    #[must_use]
    pub fn isolated(stages: usize) -> Self {
        assert!(
            stages < MOST_LANES,
            "validation bounds the number of stages"
        );
        Self((0..).take(stages + 1).map(PoolId).collect())
    }

    fn count(&self) -> u8 {
        u8::try_from(self.0.len()).expect("at most 32 lanes")
    }

    fn pools(&self) -> usize {
        self.0
            .iter()
            .map(|pool| usize::from(pool.0))
            .max()
            .unwrap_or(0)
            + 1
    }
}

/// What the pod and each of its partitions may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Charges of all unfinished records of the pod, bytes.
    pub pod_bytes: u64,
    /// Limits of each partition.
    pub partition: Limits,
}

/// A record asking to be admitted.
#[derive(Debug)]
pub struct Admission<T> {
    /// Its offset.
    pub offset: i64,
    /// The queue it joins.
    pub key: Key,
    /// Its true cost, bytes.
    pub charge: u64,
    /// The record.
    pub payload: T,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Records admitted, from the front of the batch.
    pub records: usize,
    /// Why the rest was not; `None` when all were.
    pub stopped: Option<Full>,
}

/// Who closed the gate; each opens only what it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The object says `Paused`.
    Operator = 1,
    /// The governor is short of memory.
    Memory = 2,
    /// The process is ending.
    Shutdown = 4,
}

/// A position that may be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Of which partition.
    pub partition: TopicPartition,
    /// In which epoch.
    pub epoch: Epoch,
    /// Next offset to read.
    pub position: i64,
}

/// What a partition uses of its budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Unfinished records.
    pub records: u64,
    /// Their charges, bytes.
    pub bytes: u64,
    /// Records that a crash would repeat.
    pub window: u64,
}

/// The whole pod in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Charges held, bytes, records of ended epochs included.
    pub bytes: u64,
    /// Records held, likewise.
    pub records: u64,
    /// Budget for `bytes`.
    pub budget: u64,
    /// Bits of the closed [`Gate`]s; 0 when all are open.
    pub gates: u8,
}

/// The dispatcher; clones share one state.
pub struct Dispatcher<T> {
    shared: Arc<Shared<T>>,
}

/// What the handle and the workers share.
struct Shared<T> {
    lanes: Lanes,
    pools: Vec<Pool<T>>,
    partitions: RwLock<BTreeMap<TopicPartition, Arc<Partition<T>>>>,
    limits: Mutex<Limits>,
    pod: Mutex<Ledger>,
    pod_bytes: AtomicU64,
    assigned: AtomicU32,
    gates: AtomicU8,
    held: AtomicBool,
    closed: AtomicBool,
}

impl<T> Clone for Dispatcher<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Dispatcher<T> {
    /// A dispatcher without partitions and workers.
    #[must_use]
    pub fn new(lanes: Lanes, budgets: Budgets) -> Self {
        let shared = Shared {
            pools: (0..lanes.pools()).map(|_| Pool::new()).collect(),
            lanes,
            partitions: RwLock::new(BTreeMap::new()),
            limits: Mutex::new(budgets.partition),
            pod: Mutex::new(Ledger::default()),
            pod_bytes: AtomicU64::new(budgets.pod_bytes),
            assigned: AtomicU32::new(0),
            gates: AtomicU8::new(0),
            held: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A worker's seat in a pool; one per task.
    #[must_use]
    pub fn worker(&self, pool: PoolId, locality: Locality) -> Worker<T> {
        Worker::new(Arc::clone(&self.shared), pool, locality)
    }

    /// Starts an epoch of a partition. An epoch that was not ended counts as lost.
    pub fn assign(&self, partition: TopicPartition, epoch: Epoch) {
        let shared = &self.shared;
        let mut partitions = shared.partitions.write();
        let limits = *shared.limits.lock();
        let lanes = shared.lanes.count();
        let entry = partitions
            .entry(partition)
            .or_insert_with(|| Arc::new(Partition::new(partition, Engine::new(lanes, limits))));
        let released = {
            let mut inner = entry.lock();
            let released = inner.engine.lose();
            inner.engine.assign(epoch);
            released
        };
        shared.release(released);
        shared.count_assigned(&mut partitions);
        let listings = partitions.len() * usize::from(lanes);
        shared.pools.iter().for_each(|pool| pool.reserve(listings));
    }

    /// How many records of one partition, given by offset and charge, [`Dispatcher::admit`] would
    /// take now. Asked before they are copied; only admissions make the answer smaller.
    #[must_use]
    pub fn room(&self, partition: TopicPartition, records: &[(i64, u64)]) -> Admitted {
        let shared = &self.shared;
        let none = |why| Admitted { records: 0, stopped: Some(why) };
        if shared.gates.load(SeqCst) != 0 {
            return none(Full::Gate);
        }
        let partitions = shared.partitions.read();
        let Some(partition) = partitions.get(&partition) else {
            return none(Full::Epoch);
        };
        let inner = partition.lock();
        shared.room(&inner.engine, records)
    }

    /// Admits records of one partition from the front of `batch`, under one lock, until one does
    /// not fit; that one and the rest stay in `batch`. Wakes at most one worker.
    pub fn admit(&self, partition: TopicPartition, batch: &mut VecDeque<Admission<T>>) -> Admitted {
        let shared = &self.shared;
        let stopped = |why| Admitted {
            records: 0,
            stopped: Some(why),
        };
        if batch.is_empty() {
            return Admitted {
                records: 0,
                stopped: None,
            };
        }
        if shared.gates.load(SeqCst) != 0 {
            return stopped(Full::Gate);
        }
        let partitions = shared.partitions.read();
        let Some(partition) = partitions.get(&partition) else {
            return stopped(Full::Epoch);
        };
        let mut inner = partition.lock();
        let admitted = shared.admit_into(&mut inner.engine, batch);
        if admitted.records > 0 {
            shared.list(partition, &mut inner, 0);
        }
        admitted
    }

    /// Stops handing out records of these partitions and drops what waits; running records go on.
    pub fn begin_revoke(&self, partitions: &[TopicPartition]) {
        self.each(partitions, |inner| inner.engine.begin_revoke());
    }

    /// Records of these partitions that workers hold; poll it until it is zero or time is up.
    #[must_use]
    pub fn running(&self, partitions: &[TopicPartition]) -> usize {
        let map = self.shared.partitions.read();
        partitions
            .iter()
            .filter_map(|p| map.get(p))
            .map(|p| p.lock().engine.running())
            .sum()
    }

    /// Ends the epochs of revoked partitions. What still runs is stale from now on.
    pub fn finish_revoke(&self, partitions: &[TopicPartition]) {
        self.each(partitions, |inner| inner.engine.finish_revoke());
        self.shared
            .count_assigned(&mut self.shared.partitions.write());
    }

    /// Ends the epochs of partitions that another process owns already; commits nothing.
    pub fn lose(&self, partitions: &[TopicPartition]) {
        self.each(partitions, |inner| inner.engine.lose());
        self.shared
            .count_assigned(&mut self.shared.partitions.write());
    }

    /// Appends what may be committed: one entry per partition of which any record is done.
    pub fn watermarks(&self, into: &mut Vec<Watermark>) {
        for (&partition, entry) in &*self.shared.partitions.read() {
            let inner = entry.lock();
            if let Some(position) = inner.engine.watermark() {
                into.push(Watermark {
                    partition,
                    epoch: inner.engine.epoch(),
                    position,
                });
            }
        }
    }

    /// The broker confirmed a commit; that of an ended epoch is ignored.
    pub fn acknowledged(&self, watermark: Watermark) {
        let partitions = self.shared.partitions.read();
        let Some(partition) = partitions.get(&watermark.partition) else {
            return;
        };
        let mut inner = partition.lock();
        if inner.engine.epoch() == watermark.epoch {
            inner.engine.acknowledged(watermark.position);
        }
    }

    /// Makes parked keys ready whose time has come; call every few milliseconds.
    pub fn tick(&self, now: Tick) {
        for partition in self.shared.partitions.read().values() {
            let mut inner = partition.lock();
            inner.engine.tick(now);
            self.shared.list_all(partition, &mut inner);
        }
    }

    /// State of every partition, in order; allocates.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PartitionFacts> {
        self.shared
            .partitions
            .read()
            .values()
            .map(|partition| partition.facts())
            .collect()
    }

    /// What one partition uses of its budgets; `None` when it was never assigned.
    #[must_use]
    pub fn fill(&self, partition: TopicPartition) -> Option<Fill> {
        let partitions = self.shared.partitions.read();
        let inner = partitions.get(&partition)?.lock();
        let ahead = Ahead::nothing(&inner.engine);
        let held = ahead.held();
        Some(Fill { records: held.records(), bytes: held.bytes(), window: ahead.window() })
    }

    /// State of the pod.
    #[must_use]
    pub fn pod(&self) -> PodFacts {
        let pod = *self.shared.pod.lock();
        PodFacts {
            bytes: pod.bytes(),
            records: pod.records(),
            budget: self.shared.pod_bytes.load(SeqCst),
            gates: self.shared.gates.load(SeqCst),
        }
    }

    /// Changes the budgets; what is held already stays.
    pub fn set_limits(&self, budgets: Budgets) {
        *self.shared.limits.lock() = budgets.partition;
        self.shared.pod_bytes.store(budgets.pod_bytes, SeqCst);
        for partition in self.shared.partitions.read().values() {
            let mut inner = partition.lock();
            inner.engine.set_limits(budgets.partition);
            self.shared.list_all(partition, &mut inner);
        }
    }

    /// Admits nothing until every gate is open again.
    pub fn close_gate(&self, gate: Gate) {
        self.shared.gates.fetch_or(gate as u8, SeqCst);
    }

    /// Opens what [`Dispatcher::close_gate`] closed for the same reason.
    pub fn open_gate(&self, gate: Gate) {
        self.shared.gates.fetch_and(!(gate as u8), SeqCst);
    }

    /// Hands out no record until [`Dispatcher::resume`]; completions go on.
    pub fn hold(&self) {
        self.shared.held.store(true, SeqCst);
    }

    /// Ends [`Dispatcher::hold`].
    pub fn resume(&self) {
        self.shared.held.store(false, SeqCst);
        self.shared.pools.iter().for_each(Pool::wake_all);
    }

    /// Sends every worker home once it has settled what it holds.
    pub fn close(&self) {
        self.shared.closed.store(true, SeqCst);
        self.shared.pools.iter().for_each(Pool::wake_all);
    }

    /// Checks every structural invariant of every partition and of the pod; for tests, when no
    /// other thread is at work.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), super::Violation> {
        let partitions = self.shared.partitions.read();
        partitions
            .values()
            .try_for_each(|partition| partition.lock().engine.check())?;
        share::pod_is_the_sum(&self.pod(), partitions.values().map(|p| p.facts().engine))
    }

    fn each(&self, partitions: &[TopicPartition], mut step: impl FnMut(&mut Inner<T>) -> Released) {
        let map = self.shared.partitions.read();
        for partition in partitions.iter().filter_map(|partition| map.get(partition)) {
            let released = step(&mut partition.lock());
            self.shared.release(released);
        }
    }
}

impl<T> Shared<T> {
    fn share(&self) -> share::Share {
        let budget = self.pod_bytes.load(SeqCst);
        share::Share { budget, partitions: self.assigned.load(SeqCst) }
    }

    fn room(&self, engine: &Engine<T>, records: &[(i64, u64)]) -> Admitted {
        let (share, mut pod) = (self.share(), *self.pod.lock());
        let mut ahead = Ahead::nothing(engine);
        for (index, &(offset, charge)) in records.iter().enumerate() {
            let obstacle = engine
                .obstacle_behind(&ahead, offset, charge)
                .or_else(|| share.obstacle(&pod, ahead.held(), charge));
            if obstacle.is_some() {
                return Admitted { records: index, stopped: obstacle };
            }
            ahead.admit(offset, charge);
            pod.reserve(charge);
        }
        Admitted { records: records.len(), stopped: None }
    }

    fn admit_into(&self, engine: &mut Engine<T>, batch: &mut VecDeque<Admission<T>>) -> Admitted {
        let share = self.share();
        let mut pod = self.pod.lock();
        let mut records = 0;
        while let Some(Admission {
            offset,
            key,
            charge,
            payload,
        }) = batch.pop_front()
        {
            let result = match engine.obstacle(offset, charge) {
                None => share.obstacle(&pod, &engine.ledger(), charge),
                full => full,
            };
            if let Some(why) = result {
                batch.push_front(Admission {
                    offset,
                    key,
                    charge,
                    payload,
                });
                return Admitted {
                    records,
                    stopped: Some(why),
                };
            }
            let admitted = engine.admit(offset, key, charge, payload);
            debug_assert!(
                admitted.is_ok(),
                "nothing is in the way under the same lock"
            );
            pod.reserve(charge);
            records += 1;
        }
        Admitted {
            records,
            stopped: None,
        }
    }

    fn release(&self, released: Released) {
        if released != Released::default() {
            self.pod.lock().release(released);
        }
    }

    /// Puts a lane that has work on its pool's ready list, once, and wakes one worker.
    fn list(&self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>, lane: u8) {
        if inner.must_list(lane) {
            self.pool_of(lane).push(partition, lane);
            self.pool_of(lane).wake_one();
        }
    }

    fn list_all(&self, partition: &Arc<Partition<T>>, inner: &mut Inner<T>) {
        (0..self.lanes.count()).for_each(|lane| self.list(partition, inner, lane));
    }

    fn pool_of(&self, lane: u8) -> &Pool<T> {
        &self.pools[usize::from(self.lanes.0[usize::from(lane)].0)]
    }

    /// Forgets partitions that are gone and counts those that share the pod's bytes.
    fn count_assigned(&self, partitions: &mut BTreeMap<TopicPartition, Arc<Partition<T>>>) {
        partitions.retain(|_, partition| {
            let facts = partition.facts().engine;
            facts.state != State::Idle || facts.stale_records > 0
        });
        let assigned = partitions
            .values()
            .filter(|p| p.lock().engine.state() != State::Idle);
        let assigned = u32::try_from(assigned.count()).expect("partitions fit into 32 bits");
        self.assigned.store(assigned, SeqCst);
    }
}
