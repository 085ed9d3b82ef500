//! From a key's hash to its oldest record: buckets of keys, chained through the records themselves.
//! Layer: core

use super::{
    near,
    node::Node,
    slab::{NIL, Slab},
};

/// Smallest table, buckets.
const SMALLEST: usize = 128;

/// Buckets for each key at least, so that nearly every search ends at the first look: a wrong guess
/// of the branch costs more than the table costs cache.
const SPARSE: usize = 8;

/// The first key of each bucket; the others follow in [`Node::bucket`]. A key that leaves takes two
/// looks, whatever its neighbours are, and nothing is ever moved but when the table grows.
#[derive(Clone)]
pub(super) struct KeyIndex {
    buckets: Vec<u32>,
    len: usize,
}

impl KeyIndex {
    pub(super) fn new() -> Self {
        Self {
            buckets: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The oldest record of the key of the record `at`; when there is none, `at` is it from now on.
    #[inline]
    pub(super) fn find_or_insert<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) -> Option<u32> {
        if (self.len + 1) * SPARSE > self.buckets.len() {
            self.grow(nodes);
        }
        let hash = nodes[at].hash;
        let found = self.find(nodes, hash);
        if found.is_none() {
            self.push(nodes, at);
            self.len += 1;
        }
        found
    }

    /// The oldest record of the key of this hash.
    #[inline]
    pub(super) fn find<T>(&self, nodes: &Slab<Node<T>>, hash: u64) -> Option<u32> {
        let mut at = self.first(hash)?;
        while nodes[at].hash != hash {
            at = nodes[at].bucket;
            if at == NIL {
                return None;
            }
        }
        Some(at)
    }

    /// Another record is the oldest of its key now.
    #[inline]
    pub(super) fn replace<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32, by: u32) {
        nodes[by].bucket = nodes[at].bucket;
        self.relink(nodes, at, by);
    }

    /// Removes what [`KeyIndex::find_or_insert`] added.
    #[inline]
    pub(super) fn remove<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) {
        let rest = nodes[at].bucket;
        self.relink(nodes, at, rest);
        self.len -= 1;
    }

    /// Asks for the bucket of `hash`.
    #[inline]
    pub(super) fn foresee(&self, hash: u64) {
        if let Some(bucket) = self.bucket(hash) {
            near::fetch(&self.buckets[bucket]);
        }
    }

    /// The node that a search for `hash` looks at first.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        let first = self.buckets[self.bucket(hash)?];
        (first != NIL).then_some(first)
    }

    /// What led to `at` leads to `to`.
    #[inline]
    fn relink<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32, to: u32) {
        let bucket = self.bucket(nodes[at].hash).expect("the key was inserted");
        let mut before = self.buckets[bucket];
        if before == at {
            self.buckets[bucket] = to;
            return;
        }
        while nodes[before].bucket != at {
            before = nodes[before].bucket;
        }
        nodes[before].bucket = to;
    }

    #[inline]
    fn push<T>(&mut self, nodes: &mut Slab<Node<T>>, at: u32) {
        let bucket = self.bucket(nodes[at].hash).expect("there is room");
        nodes[at].bucket = std::mem::replace(&mut self.buckets[bucket], at);
    }

    /// `None` before the first key.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "masked by the length anyway"
    )]
    #[inline]
    fn bucket(&self, hash: u64) -> Option<usize> {
        let mask = self.buckets.len().checked_sub(1)?;
        Some(hash as usize & mask)
    }

    #[cold]
    fn grow<T>(&mut self, nodes: &mut Slab<Node<T>>) {
        let size = (self.buckets.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.buckets, vec![NIL; size]);
        for mut at in old {
            while at != NIL {
                let next = nodes[at].bucket;
                self.push(nodes, at);
                at = next;
            }
        }
    }
}
