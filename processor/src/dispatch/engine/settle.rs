//! How a run ends: every way spends the ticket and accounts for the record's charge.
//! Layer: core

use std::{cmp::Reverse, mem};

use super::{Blame, Engine, Released, State, Tick, Ticket};
use crate::dispatch::{invariants, node::Place};

impl<T> Engine<T> {
    /// The record reached a terminal state: its charge goes, its offset may be committed.
    pub fn complete(&mut self, ticket: Ticket) -> Released {
        let Some(at) = self.current(&ticket) else {
            return self.release_stale(&ticket);
        };
        self.leave_lane(at);
        self.ring.complete(ticket.sequence);
        debug_assert!(invariants::commit_is_below_open(
            self.ring.watermark(),
            self.ring.oldest_open()
        ));
        self.free(at)
    }

    /// The record is done with its lane and goes on to the next; its key is free for the record
    /// behind it. In the last lane this is [`Engine::complete`]. While draining the record is
    /// dropped and stays uncommitted.
    pub fn advance(&mut self, ticket: Ticket, payload: T) -> Released {
        let lane = ticket.lane + 1;
        if usize::from(lane) == self.lanes.len() {
            return self.complete(ticket);
        }
        let Some(at) = self.current(&ticket) else {
            return self.release_stale(&ticket);
        };
        self.leave_lane(at);
        if self.state == State::Draining {
            return self.free(at);
        }
        let node = &mut self.nodes[at];
        (node.payload, node.place, node.lane) = (Some(payload), Place::Behind, lane);
        node.attempts = 0;
        let bound = self.limits.records as usize;
        self.lanes[usize::from(lane)].append(&mut self.nodes, at, bound);
        Released::default()
    }

    /// The run failed: the record stays at the head of its key until `until`; other keys go on.
    pub fn park(&mut self, ticket: Ticket, payload: T, until: Tick, blame: Blame) -> Released {
        let at = match self.put_back(&ticket, Some(payload), Place::Parked) {
            Ok(at) => at,
            Err(released) => return released,
        };
        let node = &mut self.nodes[at];
        if blame == Blame::Record {
            node.attempts = node.attempts.saturating_add(1);
        }
        self.due.push(Reverse((until, ticket.sequence, at)));
        Released::default()
    }

    /// The record can not be finished: its key waits until the epoch ends.
    pub fn block(&mut self, ticket: Ticket, payload: T) -> Released {
        self.put_back(&ticket, Some(payload), Place::Blocked)
            .err()
            .unwrap_or_default()
    }

    /// The record was not touched: it is the next of its key again.
    pub fn give_back(&mut self, ticket: Ticket, payload: T) -> Released {
        self.put_back(&ticket, Some(payload), Place::Ready)
            .err()
            .unwrap_or_default()
    }

    /// The worker is gone, and the payload with it. The memory is released; the key is blocked and
    /// its offset stays uncommitted, so the next epoch repeats the record.
    pub fn abandon(&mut self, ticket: Ticket) -> Released {
        let at = match self.put_back(&ticket, None, Place::Blocked) {
            Ok(at) => at,
            Err(released) => return released,
        };
        let charge = mem::take(&mut self.nodes[at].charge);
        let released = Released {
            bytes: charge,
            records: 0,
        };
        self.held.release(released);
        released
    }

    /// The node of a ticket of this epoch.
    fn current(&self, ticket: &Ticket) -> Option<u32> {
        if self.state == State::Idle || ticket.epoch != self.epoch {
            return None;
        }
        let node = &self.nodes[ticket.node];
        debug_assert!(
            invariants::ticket_fits(ticket.sequence, node.sequence, node.place),
            "a ticket of the epoch names the record it was given for"
        );
        Some(ticket.node)
    }

    /// A record of an ended epoch: its memory is accounted for, nothing else happens.
    fn release_stale(&mut self, ticket: &Ticket) -> Released {
        let released = Released::one(ticket.charge);
        self.stale.release(released);
        released
    }

    fn leave_lane(&mut self, at: u32) {
        let lane = usize::from(self.nodes[at].lane);
        self.lanes[lane].pop(&mut self.nodes, at);
    }

    /// Ends a run whose record stays at the head of its key; `Err` when it was dropped instead.
    fn put_back(
        &mut self,
        ticket: &Ticket,
        payload: Option<T>,
        place: Place,
    ) -> Result<u32, Released> {
        let Some(at) = self.current(ticket) else {
            return Err(self.release_stale(ticket));
        };
        if self.state == State::Draining {
            self.leave_lane(at);
            return Err(self.free(at));
        }
        self.nodes[at].payload = payload;
        self.lanes[usize::from(ticket.lane)].stay(&mut self.nodes, at, place);
        Ok(at)
    }

    /// Empties a node that has left its lane.
    fn free(&mut self, at: u32) -> Released {
        let node = &mut self.nodes[at];
        (node.payload, node.place) = (None, Place::Free);
        let released = Released::one(node.charge);
        self.nodes.release(at);
        self.held.release(released);
        released
    }
}
