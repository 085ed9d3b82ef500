//! One keyed queue: first in, first out per key, and at most one record of a key in flight.
//! Layer: core
//!
//! A key is its oldest record: the index leads from the hash to that record's node, which also
//! holds what concerns the key. So a key with one record, the usual case, costs one bucket of the
//! index and one node, and each of them is fetched once on the way in and once on the way out.

use std::{collections::VecDeque, mem};

use super::{
    index::KeyIndex,
    node::{Node, Place},
    slab::{self, NIL, Slab},
};

/// Keys by hash, and those whose oldest record may run, in the order they became so.
#[derive(Clone)]
pub(super) struct Lane {
    /// To the oldest record of a key.
    pub(super) index: KeyIndex,
    /// First in, first out. A list of numbers and not one that leads from node to node: those who
    /// take several do not wait for one to learn the next.
    pub(super) ready: VecDeque<u32>,
    pub(super) records: u32,
    pub(super) running: u32,
    pub(super) parked: u32,
    pub(super) blocked: u32,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            index: KeyIndex::new(),
            ready: VecDeque::new(),
            records: 0,
            running: 0,
            parked: 0,
            blocked: 0,
        }
    }

    /// Adds a record behind the others of its key.
    #[inline]
    pub(super) fn append<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32, bound: usize) {
        self.records += 1;
        if self.records as usize > self.ready.capacity() {
            self.grow(bound);
        }
        let node = &mut nodes[at];
        (node.next, node.tail) = (NIL, at);
        if !node.keyed {
            return self.push_ready(nodes, at);
        }
        let Some(head) = self.index.find_or_insert(nodes, at) else {
            return self.push_ready(nodes, at);
        };
        let last = mem::replace(&mut nodes[head].tail, at);
        nodes[last].next = at;
    }

    /// Takes the next ready key; its oldest record.
    #[inline]
    pub(super) fn start(&mut self) -> Option<u32> {
        let at = self.ready.pop_front()?;
        self.running += 1;
        Some(at)
    }

    /// Ends the run of a key: its oldest record leaves the lane, the next one may run.
    #[inline]
    pub(super) fn pop<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) {
        let node = &nodes[at];
        let (next, tail) = (node.next, node.tail);
        self.running -= 1;
        self.records -= 1;
        if next != NIL {
            self.index.replace(nodes, at, next);
            nodes[next].tail = tail;
            self.push_ready(nodes, next);
        } else if node.keyed {
            // An idle key costs nothing.
            self.index.remove(nodes, at);
        }
    }

    /// Ends the run of a key whose oldest record stays: ready again, parked or blocked.
    #[inline]
    pub(super) fn stay<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32, place: Place) {
        self.running -= 1;
        match place {
            Place::Parked => self.parked += 1,
            Place::Blocked => self.blocked += 1,
            Place::Ready | Place::Running | Place::Behind | Place::Free => {
                return self.push_ready(nodes, at);
            }
        }
        nodes[at].place = place;
    }

    /// Makes a parked key ready.
    pub(super) fn unpark<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) {
        debug_assert_eq!(nodes[at].place, Place::Parked, "only a parked key is due");
        self.parked -= 1;
        self.push_ready(nodes, at);
    }

    /// Leaves the lane what runs: `gone` is called for every node that waits, and frees it.
    pub(super) fn retain_running<T>(
        &mut self,
        nodes: &mut Slab<Node<T>>,
        number: u8,
        mut gone: impl FnMut(&mut Slab<Node<T>>, u32),
    ) {
        self.ready.clear();
        (self.parked, self.blocked) = (0, 0);
        for at in 0..nodes.len() {
            let node = &mut nodes[at];
            if node.lane != number {
                continue;
            }
            match node.place {
                Place::Free => continue,
                Place::Running => {
                    (node.next, node.tail) = (NIL, at);
                    continue;
                }
                Place::Behind => {}
                Place::Ready | Place::Parked | Place::Blocked => {
                    if node.keyed {
                        self.index.remove(nodes, at);
                    }
                }
            }
            self.records -= 1;
            gone(nodes, at);
        }
    }

    #[inline]
    fn push_ready<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) {
        nodes[at].place = Place::Ready;
        self.ready.push_back(at);
    }

    /// Room for every record, since each may be the oldest of a key of its own.
    #[cold]
    fn grow(&mut self, bound: usize) {
        let target = slab::growth(self.ready.capacity(), bound);
        self.ready.reserve_exact(target - self.ready.len());
    }
}
