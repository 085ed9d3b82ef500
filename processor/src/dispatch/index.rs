//! From a key's hash to its oldest record: open addressing, 8 bytes a cell, no tombstones.
//! Layer: core

use super::{near, slab::NIL};

/// Smallest table, cells.
const SMALLEST: usize = 128;

/// Cells for each key at least. At two of them every second search went past its home cell, which
/// costs a wrong guess of the branch more than the table costs cache.
const SPARSE: usize = 4;

/// Low half of the hash (it also tells the home cell) and the node of the key's oldest record.
#[derive(Clone, Copy)]
struct Cell {
    tag: u32,
    node: u32,
}

const EMPTY: Cell = Cell { tag: 0, node: NIL };

/// Linear probing at a load of at most a quarter. Removal closes the gap by moving cells back, so a
/// table under constant turnover never needs a rebuild.
#[derive(Clone)]
pub(super) struct KeyIndex {
    cells: Vec<Cell>,
    len: usize,
}

impl KeyIndex {
    pub(super) fn new() -> Self {
        Self {
            cells: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The node of `hash`, of which `same` knows the full hash; when there is none, `node` is it
    /// from now on.
    #[inline]
    pub(super) fn find_or_insert(
        &mut self,
        hash: u64,
        node: u32,
        same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        if (self.len + 1) * SPARSE > self.cells.len() {
            self.grow();
        }
        match self.seek(hash, same) {
            Ok(found) => Some(found),
            Err(empty) => {
                self.cells[empty] = Cell {
                    tag: tag(hash),
                    node,
                };
                self.len += 1;
                None
            }
        }
    }

    /// The node of `hash`; for the checks.
    pub(super) fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        if self.cells.is_empty() {
            return None;
        }
        self.seek(hash, same).ok()
    }

    /// The node, or the empty cell where the search ended.
    #[inline]
    fn seek(&self, hash: u64, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.cells.len() - 1;
        let tag = tag(hash);
        let mut at = tag as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell.node == NIL {
                return Err(at);
            }
            if cell.tag == tag && same(cell.node) {
                return Ok(cell.node);
            }
            at = (at + 1) & mask;
        }
    }

    /// Another record is the oldest of its key now.
    #[inline]
    pub(super) fn replace(&mut self, hash: u64, node: u32, by: u32) {
        let at = self.position(hash, node);
        self.cells[at].node = by;
    }

    /// Removes what [`KeyIndex::find_or_insert`] added.
    #[inline]
    pub(super) fn remove(&mut self, hash: u64, node: u32) {
        let mask = self.cells.len() - 1;
        let mut hole = self.position(hash, node);
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let cell = self.cells[at];
            if cell.node == NIL {
                break;
            }
            // The cell may fill the hole only if the hole is not before its home.
            let home = cell.tag as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.cells[hole] = cell;
                hole = at;
            }
        }
        self.cells[hole] = EMPTY;
        self.len -= 1;
    }

    /// Asks for the home cell of `hash`.
    #[inline]
    pub(super) fn foresee(&self, hash: u64) {
        if let Some(mask) = self.cells.len().checked_sub(1) {
            near::fetch(&self.cells[tag(hash) as usize & mask]);
        }
    }

    /// The node that a search for `hash` looks at first.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        let mask = self.cells.len().checked_sub(1)?;
        let cell = self.cells[tag(hash) as usize & mask];
        (cell.node != NIL).then_some(cell.node)
    }

    #[inline]
    fn position(&self, hash: u64, node: u32) -> usize {
        let mask = self.cells.len() - 1;
        let mut at = tag(hash) as usize & mask;
        while self.cells[at].node != node {
            debug_assert_ne!(self.cells[at].node, NIL, "the key was inserted");
            at = (at + 1) & mask;
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.cells.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.cells, vec![EMPTY; size]);
        let mask = size - 1;
        for cell in old.into_iter().filter(|cell| cell.node != NIL) {
            let mut at = cell.tag as usize & mask;
            while self.cells[at].node != NIL {
                at = (at + 1) & mask;
            }
            self.cells[at] = cell;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
#[inline]
fn tag(hash: u64) -> u32 {
    hash as u32
}
