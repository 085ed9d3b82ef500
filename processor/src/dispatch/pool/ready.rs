//! A pool of workers: which lanes of which partitions have work for it, and who sleeps.
//! Layer: shell

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use super::partition::Partition;

/// Number of a pool of workers: 0 serves the inline stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub u8);

/// A lane with work.
pub(super) struct Listed<T> {
    pub(super) partition: Arc<Partition<T>>,
    pub(super) lane: u8,
}

/// First in, first out over lanes with work; each lane at most once, so its length is bounded by
/// partitions times lanes.
pub(super) struct Pool<T> {
    ready: Mutex<VecDeque<Listed<T>>>,
    wake: Notify,
    workers: AtomicU32,
}

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        let ready = Mutex::new(VecDeque::new());
        Self {
            ready,
            wake: Notify::new(),
            workers: AtomicU32::new(0),
        }
    }

    /// Makes room for all listings that there can be.
    pub(super) fn reserve(&self, listings: usize) {
        let mut ready = self.ready.lock();
        let missing = listings.saturating_sub(ready.len());
        ready.reserve(missing);
    }

    pub(super) fn push(&self, partition: &Arc<Partition<T>>, lane: u8) {
        self.ready.lock().push_back(Listed {
            partition: Arc::clone(partition),
            lane,
        });
    }

    /// Takes the first lane and passes the wake on if there are more.
    pub(super) fn pop(&self) -> Option<Listed<T>> {
        let mut ready = self.ready.lock();
        let listed = ready.pop_front();
        let more = !ready.is_empty();
        drop(ready);
        if more {
            self.wake.notify_one();
        }
        listed
    }

    /// As [`Pool::pop`], if the first lane is one of this partition.
    pub(super) fn pop_if(&self, partition: &Arc<Partition<T>>) -> Option<Listed<T>> {
        let mut ready = self.ready.lock();
        let listed = ready.pop_front_if(|first| Arc::ptr_eq(&first.partition, partition));
        let more = !ready.is_empty();
        drop(ready);
        if listed.is_some() && more {
            self.wake.notify_one();
        }
        listed
    }

    /// Wakes a sleeping worker, or the next one that would go to sleep.
    pub(super) fn wake_one(&self) {
        self.wake.notify_one();
    }

    pub(super) fn wake_all(&self) {
        self.wake.notify_waiters();
    }

    /// Completes at the next wake, one that comes before it is polled included.
    pub(super) fn sleep(&self) -> Notified<'_> {
        self.wake.notified()
    }

    pub(super) fn workers(&self) -> &AtomicU32 {
        &self.workers
    }

    /// Records a local worker takes at once, so that ready keys are spread over all workers.
    pub(super) fn turn(&self, ready: u32, most: u32) -> u32 {
        (ready / self.workers.load(Relaxed).max(1)).clamp(1, most)
    }
}
