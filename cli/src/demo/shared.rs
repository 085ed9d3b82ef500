//! What the threads of a demo tell each other: numbers that only grow, and one reason to stop.
//! Layer: shell

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use super::status::Status;

/// State of a run, shared by its threads.
#[derive(Debug)]
pub struct Shared {
    acknowledged: Vec<AtomicI64>,
    committed: Vec<AtomicI64>,
    stopping: AtomicBool,
    failure: Mutex<Option<String>>,
    status: Mutex<Option<Status>>,
}

/// How long a thread may sleep before it looks at the others again.
pub const TICK: Duration = Duration::from_millis(100);

impl Shared {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        let zeros = || (0..partitions).map(|_| AtomicI64::new(0)).collect();
        Self {
            acknowledged: zeros(),
            committed: zeros(),
            stopping: AtomicBool::new(false),
            failure: Mutex::new(None),
            status: Mutex::new(None),
        }
    }

    /// The broker holds all records of a partition before `end`.
    pub fn acknowledge(&self, partition: i32, end: i64) {
        raise(&self.acknowledged, partition, end);
    }

    /// The group has committed `offset` on a partition.
    pub fn commit(&self, partition: i32, offset: i64) {
        raise(&self.committed, partition, offset);
    }

    /// Ends of the partitions as the broker acknowledged them.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<i64> {
        load(&self.acknowledged)
    }

    /// Committed offsets of the partitions.
    #[must_use]
    pub fn committed(&self) -> Vec<i64> {
        load(&self.committed)
    }

    /// Tells all threads to end; the first reason is kept.
    pub fn fail(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(reason);
        drop(failure);
        self.stop();
    }

    /// Why the run failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tells all threads to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the threads were told to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Keeps what the processor said last.
    pub fn report(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// What the processor said last.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Unknown partitions and numbers that go back are ignored.
fn raise(numbers: &[AtomicI64], partition: i32, number: i64) {
    let known = usize::try_from(partition)
        .ok()
        .and_then(|index| numbers.get(index));
    if let Some(slot) = known {
        slot.fetch_max(number, Ordering::Relaxed);
    }
}

fn load(numbers: &[AtomicI64]) -> Vec<i64> {
    numbers
        .iter()
        .map(|number| number.load(Ordering::Relaxed))
        .collect()
}
