//! Beginning and end of an assignment.
//! Layer: core

use std::collections::BinaryHeap;

use super::{Engine, Epoch, HotKeys, Lane, Place, Released, SequenceRing, Slab, State};

impl<T> Engine<T> {
    /// Starts an epoch with nothing of an earlier one: no record, charge, parked key or watermark.
    ///
    /// # Panics
    /// When the last epoch has not ended.
    pub fn assign(&mut self, epoch: Epoch) {
        assert_eq!(
            self.state,
            State::Idle,
            "an epoch ends before the next one begins"
        );
        (self.state, self.epoch) = (State::Consuming, epoch);
    }

    /// The partition will be taken away: nothing is handed out any more, what waits is dropped
    /// (the next owner reads it again), what runs may end.
    pub fn begin_revoke(&mut self) -> Released {
        if self.state != State::Consuming {
            return Released::default();
        }
        self.state = State::Draining;
        self.drop_waiting()
    }

    /// The partition was taken away. What still runs becomes stale: its completion releases its
    /// memory and does nothing else.
    pub fn finish_revoke(&mut self) -> Released {
        self.end()
    }

    /// The partition is owned by another process already: as [`Engine::finish_revoke`], and from
    /// any state.
    pub fn lose(&mut self) -> Released {
        self.end()
    }

    /// Where the assignment stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The current epoch, or the last one.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn end(&mut self) -> Released {
        if self.state == State::Idle {
            return Released::default();
        }
        let released = self.drop_waiting();
        for (_, node) in self
            .nodes
            .iter()
            .filter(|(_, node)| node.place == Place::Running)
        {
            self.held.transfer(node.charge, &mut self.stale);
        }
        debug_assert_eq!(
            self.held.records(),
            0,
            "a record waits, runs or is released"
        );
        self.state = State::Idle;
        // The memory of the structures goes with the assignment.
        self.nodes = Slab::new();
        self.lanes.fill_with(Lane::new);
        self.ring = SequenceRing::new(self.ring.next());
        self.due = BinaryHeap::new();
        self.hot = HotKeys::new();
        released
    }

    fn drop_waiting(&mut self) -> Released {
        let mut total = Released::default();
        self.due.clear();
        let Self {
            lanes, nodes, held, ..
        } = self;
        for (number, lane) in (0..).zip(lanes) {
            lane.retain_running(nodes, number, |nodes, at| {
                let node = &mut nodes[at];
                (node.payload, node.place) = (None, Place::Free);
                let released = Released::one(node.charge);
                nodes.release(at);
                held.release(released);
                total.add(released);
            });
        }
        total
    }
}
