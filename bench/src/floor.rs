//! The driver by itself: what fetching a key and passing a payload costs without any dispatcher.
//! Layer: core

use std::collections::VecDeque;

use crate::engine::{Arrival, Payload, Subject};

/// First in, first out: no key, no order, no budget, no watermark. Not a peer; its figure is the
/// part of every other one that the driver causes. The key is read but not hashed.
#[derive(Default)]
pub struct Floor {
    waiting: VecDeque<(i64, Payload)>,
}

impl Floor {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Subject for Floor {
    type Run = ();

    fn admit(&mut self, batch: &mut Vec<Arrival<'_>>) {
        for arrival in batch.drain(..) {
            std::hint::black_box(arrival.key.first().copied());
            self.waiting.push_back((arrival.offset, arrival.payload));
        }
    }

    fn take(&mut self) -> Option<(i64, Payload, ())> {
        self.waiting
            .pop_front()
            .map(|(offset, payload)| (offset, payload, ()))
    }

    fn complete(&mut self, (): ()) {}

    fn watermark(&mut self) -> Option<i64> {
        None
    }
}
