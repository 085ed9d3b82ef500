//! The published shape: a map of key bytes to queues, and an ordered set of offsets.
//! Layer: core

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::engine::{Arrival, Payload, Subject};

/// As a first version is usually written, and as the source story published it.
#[derive(Default)]
pub struct Published {
    queues: HashMap<Vec<u8>, VecDeque<(i64, Option<Payload>)>>,
    ready: VecDeque<Vec<u8>>,
    open: BTreeSet<i64>,
    next: i64,
}

impl Published {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Subject for Published {
    type Run = (Vec<u8>, i64);

    fn admit(&mut self, batch: &mut Vec<Arrival<'_>>) {
        for Arrival {
            offset,
            key,
            payload,
        } in batch.drain(..)
        {
            self.next = offset + 1;
            self.open.insert(offset);
            let queue = self.queues.entry(key.to_vec()).or_default();
            if queue.is_empty() {
                self.ready.push_back(key.to_vec());
            }
            queue.push_back((offset, Some(payload)));
        }
    }

    fn take(&mut self) -> Option<(i64, Payload, Self::Run)> {
        let key = self.ready.pop_front()?;
        let head = self.queues.get_mut(&key)?.front_mut()?;
        let payload = head.1.take()?;
        Some((head.0, payload, (key, head.0)))
    }

    fn complete(&mut self, (key, offset): Self::Run) {
        self.open.remove(&offset);
        let Some(queue) = self.queues.get_mut(&key) else {
            return;
        };
        queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&key);
        } else {
            self.ready.push_back(key);
        }
    }

    fn watermark(&mut self) -> Option<i64> {
        Some(self.open.first().copied().unwrap_or(self.next))
    }
}
