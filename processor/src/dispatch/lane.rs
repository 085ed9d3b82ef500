//! One keyed queue: first in, first out per key, and at most one record of a key in flight.
//! Layer: core

use std::mem;

use super::{
    index::KeyIndex,
    key::Key,
    slab::{NIL, Slab},
};

/// A record inside the engine; it stays in one cell on its way through all lanes.
#[derive(Clone)]
pub(super) struct Node<T> {
    /// `None` while a worker holds it.
    pub(super) payload: Option<T>,
    pub(super) sequence: u64,
    pub(super) charge: u64,
    /// Queue of its key in `lane`.
    pub(super) queue: u32,
    /// Next record of its key in `lane`.
    pub(super) next: u32,
    pub(super) attempts: u16,
    pub(super) lane: u8,
    pub(super) place: Place,
}

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    Waiting,
    Running,
}

/// Records of one key, oldest first. The head is the one that may run.
#[derive(Clone)]
pub(super) struct Queue {
    pub(super) key: Key,
    pub(super) head: u32,
    pub(super) tail: u32,
    /// Next in the ready list.
    pub(super) link: u32,
    pub(super) phase: Phase,
}

/// What the head of a key does; the key is in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Ready,
    Running,
    Parked,
    Blocked,
}

/// Keys by hash, and those whose head may run, in the order they became so.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) index: KeyIndex,
    pub(super) queues: Slab<Queue>,
    pub(super) first_ready: u32,
    last_ready: u32,
    pub(super) ready: u32,
    pub(super) records: u32,
    pub(super) running: u32,
    pub(super) parked: u32,
    pub(super) blocked: u32,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            index: KeyIndex::new(),
            queues: Slab::new(),
            first_ready: NIL,
            last_ready: NIL,
            ready: 0,
            records: 0,
            running: 0,
            parked: 0,
            blocked: 0,
        }
    }

    /// Adds a record behind the others of its key.
    pub(super) fn append<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32, key: Key, bound: usize) {
        self.records += 1;
        let found = match key {
            Key::Hash(hash) => self.index.find(hash, |queue| self.hash(queue)),
            Key::Spread => None,
        };
        nodes[at].next = NIL;
        if let Some(at_queue) = found {
            nodes[at].queue = at_queue;
            let queue = &mut self.queues[at_queue];
            nodes[queue.tail].next = at;
            queue.tail = at;
            return;
        }
        let queue = Queue {
            key,
            head: at,
            tail: at,
            link: NIL,
            phase: Phase::Ready,
        };
        let queue = self.queues.insert(queue, bound);
        nodes[at].queue = queue;
        if let Key::Hash(hash) = key {
            self.index.insert(hash, queue);
        }
        self.push_ready(queue);
    }

    /// Takes the next ready key; the number of its head.
    #[inline]
    pub(super) fn start(&mut self) -> Option<u32> {
        let at = self.first_ready;
        if at == NIL {
            return None;
        }
        let queue = &mut self.queues[at];
        debug_assert_eq!(queue.phase, Phase::Ready, "the ready list holds ready keys");
        queue.phase = Phase::Running;
        self.first_ready = queue.link;
        if self.first_ready == NIL {
            self.last_ready = NIL;
        }
        self.ready -= 1;
        self.running += 1;
        Some(queue.head)
    }

    /// Ends the run of a key: its head leaves the lane, the next record may run.
    pub(super) fn pop<T>(&mut self, nodes: &Slab<Node<T>>, at_queue: u32) {
        let queue = &mut self.queues[at_queue];
        debug_assert_eq!(
            queue.phase,
            Phase::Running,
            "one record of a key is in flight"
        );
        self.running -= 1;
        self.records -= 1;
        queue.head = nodes[queue.head].next;
        if queue.head == NIL {
            self.forget(at_queue);
        } else {
            self.push_ready(at_queue);
        }
    }

    /// Ends the run of a key whose head stays: ready again, parked or blocked.
    #[inline]
    pub(super) fn stay(&mut self, at_queue: u32, phase: Phase) {
        debug_assert_eq!(
            self.queues[at_queue].phase,
            Phase::Running,
            "only a running key waits"
        );
        self.running -= 1;
        match phase {
            Phase::Parked => self.parked += 1,
            Phase::Blocked => self.blocked += 1,
            Phase::Ready | Phase::Free | Phase::Running => return self.push_ready(at_queue),
        }
        self.queues[at_queue].phase = phase;
    }

    /// Makes a parked key ready.
    pub(super) fn unpark(&mut self, at_queue: u32) {
        debug_assert_eq!(
            self.queues[at_queue].phase,
            Phase::Parked,
            "only a parked key is due"
        );
        self.parked -= 1;
        self.push_ready(at_queue);
    }

    /// Empties every queue but for its running head; `drop` frees a node.
    pub(super) fn retain_running<T>(
        &mut self,
        nodes: &mut Slab<Node<T>>,
        mut drop: impl FnMut(&mut Slab<Node<T>>, u32),
    ) {
        (self.first_ready, self.last_ready, self.ready) = (NIL, NIL, 0);
        (self.parked, self.blocked) = (0, 0);
        for at in 0..self.queues.len() {
            let queue = &mut self.queues[at];
            let (phase, head) = (queue.phase, queue.head);
            queue.tail = head;
            let mut waiting = match phase {
                Phase::Free => continue,
                Phase::Running => mem::replace(&mut nodes[head].next, NIL),
                Phase::Ready | Phase::Parked | Phase::Blocked => head,
            };
            while waiting != NIL {
                let next = nodes[waiting].next;
                drop(nodes, waiting);
                self.records -= 1;
                waiting = next;
            }
            if phase != Phase::Running {
                self.forget(at);
            }
        }
    }

    #[inline]
    pub(super) fn hash(&self, queue: u32) -> u64 {
        match self.queues[queue].key {
            Key::Hash(hash) => hash,
            Key::Spread => 0,
        }
    }

    #[inline]
    fn push_ready(&mut self, at: u32) {
        let queue = &mut self.queues[at];
        (queue.phase, queue.link) = (Phase::Ready, NIL);
        if self.last_ready == NIL {
            self.first_ready = at;
        } else {
            self.queues[self.last_ready].link = at;
        }
        self.last_ready = at;
        self.ready += 1;
    }

    /// Frees a key without records: an idle key costs nothing.
    #[inline]
    fn forget(&mut self, at: u32) {
        let queue = &mut self.queues[at];
        queue.phase = Phase::Free;
        if let Key::Hash(hash) = queue.key {
            self.index.remove(hash, at);
        }
        self.queues.release(at);
    }
}
