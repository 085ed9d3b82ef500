//! From a key's hash to its queue: open addressing, 8 bytes a cell, no tombstones.
//! Layer: core

use super::slab::NIL;

/// Smallest table, cells.
const SMALLEST: usize = 128;

/// Low half of the hash (it also tells the home cell) and number of the key's queue.
#[derive(Clone, Copy)]
struct Cell {
    tag: u32,
    slot: u32,
}

const EMPTY: Cell = Cell { tag: 0, slot: NIL };

/// Linear probing at a load of at most one half. Removal closes the gap by moving cells back, so a
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

    /// The queue of `hash`; `hash_of` gives the full hash of a candidate.
    #[inline]
    pub(super) fn find(&self, hash: u64, hash_of: impl Fn(u32) -> u64) -> Option<u32> {
        if self.cells.is_empty() {
            return None;
        }
        let mask = self.cells.len() - 1;
        let tag = tag(hash);
        let mut at = tag as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell.slot == NIL {
                return None;
            }
            if cell.tag == tag && hash_of(cell.slot) == hash {
                return Some(cell.slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a hash that [`KeyIndex::find`] did not find.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        if (self.len + 1) * 2 > self.cells.len() {
            self.grow();
        }
        self.len += 1;
        self.place(Cell {
            tag: tag(hash),
            slot,
        });
    }

    /// Removes what [`KeyIndex::insert`] added.
    #[inline]
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let mask = self.cells.len() - 1;
        let mut hole = tag(hash) as usize & mask;
        while self.cells[hole].slot != slot {
            debug_assert_ne!(self.cells[hole].slot, NIL, "a removed key was inserted");
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let cell = self.cells[at];
            if cell.slot == NIL {
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

    #[inline]
    fn place(&mut self, cell: Cell) {
        let mask = self.cells.len() - 1;
        let mut at = cell.tag as usize & mask;
        while self.cells[at].slot != NIL {
            at = (at + 1) & mask;
        }
        self.cells[at] = cell;
    }

    fn grow(&mut self) {
        let size = (self.cells.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.cells, vec![EMPTY; size]);
        for cell in old.into_iter().filter(|cell| cell.slot != NIL) {
            self.place(cell);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
fn tag(hash: u64) -> u32 {
    hash as u32
}
