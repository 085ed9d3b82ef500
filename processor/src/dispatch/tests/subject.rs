//! The engine and its reference side by side: every step is done by both and compared.
//! Layer: test

use super::reference::{End, Reference, View};
use crate::dispatch::{Engine, Epoch, Full, Key, Limits, Released, State, Taken, Tick, Ticket};

/// A record in a worker's hand.
#[derive(Debug)]
pub(super) struct Held {
    taken: Taken<u64>,
}

impl Held {
    pub(super) fn place(&self) -> (u64, u8, i64) {
        (
            self.taken.ticket.epoch.0,
            self.taken.ticket.lane,
            self.taken.offset,
        )
    }
}

/// Only the search may copy a ticket: each copy lives in a world of its own.
impl Clone for Held {
    fn clone(&self) -> Self {
        let Ticket {
            epoch,
            sequence,
            charge,
            node,
            lane,
        } = self.taken.ticket;
        let ticket = Ticket {
            epoch,
            sequence,
            charge,
            node,
            lane,
        };
        Self {
            taken: Taken {
                ticket,
                ..self.taken
            },
        }
    }
}

/// Both implementations of one partition.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) engine: Engine<u64>,
    pub(super) reference: Reference,
    limits: Limits,
}

impl Subject {
    pub(super) fn new(lanes: u8, limits: Limits) -> Self {
        let engine = Engine::new(lanes, limits);
        Self {
            engine,
            reference: Reference::new(usize::from(lanes)),
            limits,
        }
    }

    pub(super) fn admit(&mut self, offset: i64, key: Key, charge: u64) -> Option<Full> {
        let expected = self.reference.admit(&self.limits, offset, key, charge);
        let admitted = self
            .engine
            .admit(offset, key, charge, offset.unsigned_abs());
        assert_eq!(admitted.err().map(|refused| refused.why), expected);
        self.compare();
        expected
    }

    pub(super) fn take(&mut self, lane: u8) -> Option<Held> {
        let expected = self.reference.take(&self.limits, usize::from(lane));
        let taken = self.engine.take(lane);
        assert_eq!(
            taken.as_ref().map(|taken| (taken.offset, taken.attempts)),
            expected
        );
        self.compare();
        if let Some(taken) = &taken {
            assert_eq!(
                taken.payload,
                taken.offset.unsigned_abs(),
                "payloads are not mixed up"
            );
        }
        taken.map(|taken| Held { taken })
    }

    pub(super) fn end(&mut self, held: Held, end: End) {
        let (epoch, lane, offset) = held.place();
        let expected = self.reference.end(epoch, usize::from(lane), offset, end);
        let Taken {
            ticket, payload, ..
        } = held.taken;
        let engine = &mut self.engine;
        let released = match end {
            End::Complete => engine.complete(ticket),
            End::Advance => engine.advance(ticket, payload),
            End::Park(until, blame) => engine.park(ticket, payload, Tick(until), blame),
            End::Block => engine.block(ticket, payload),
            End::GiveBack => engine.give_back(ticket, payload),
            End::Abandon => engine.abandon(ticket),
        };
        self.released(released, expected);
    }

    pub(super) fn tick(&mut self, now: u64) {
        self.reference.tick(now);
        self.engine.tick(Tick(now));
        self.compare();
    }

    pub(super) fn acknowledged(&mut self, position: i64) {
        self.reference.acknowledged(position);
        self.engine.acknowledged(position);
        self.compare();
    }

    pub(super) fn assign(&mut self, epoch: u64) {
        if self.engine.state() != State::Idle {
            return;
        }
        self.reference.assign(epoch);
        self.engine.assign(Epoch(epoch));
        self.compare();
    }

    pub(super) fn begin_revoke(&mut self) {
        let expected = self.reference.begin_revoke();
        let released = self.engine.begin_revoke();
        self.released(released, expected);
    }

    pub(super) fn finish_revoke(&mut self) {
        let expected = self.reference.lose();
        let released = self.engine.finish_revoke();
        self.released(released, expected);
    }

    pub(super) fn lose(&mut self) {
        let expected = self.reference.lose();
        let released = self.engine.lose();
        self.released(released, expected);
    }

    fn released(&self, released: Released, expected: (u64, u64)) {
        assert_eq!((released.bytes, released.records), expected);
        self.compare();
    }

    /// Everything that can be seen agrees, and every invariant holds.
    fn compare(&self) {
        let facts = self.engine.facts();
        let view = View {
            records: facts.records,
            bytes: facts.bytes,
            stale: (facts.stale_records, facts.stale_bytes),
            window: facts.window,
            watermark: facts.watermark,
            oldest_open: facts.oldest_open,
            lanes: facts
                .lanes
                .iter()
                .map(|lane| {
                    [
                        lane.ready,
                        lane.queued,
                        lane.running,
                        lane.parked,
                        lane.blocked,
                    ]
                })
                .collect(),
        };
        assert_eq!(
            (facts.state, view),
            (self.reference.state, self.reference.view())
        );
        self.engine.check().expect("every invariant holds");
    }
}
