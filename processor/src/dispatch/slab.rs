//! Cells of one size with stable numbers; grows to a planned bound, then never allocates.
//! Layer: core

use std::ops::{Index, IndexMut};

/// No cell.
pub(super) const NIL: u32 = u32::MAX;

/// Smallest growth step, cells.
const STEP: usize = 64;

/// Cells and the numbers of those that are free. A released cell is reused first (warm cache).
#[derive(Clone)]
pub(super) struct Slab<C> {
    cells: Vec<C>,
    free: Vec<u32>,
}

impl<C> Slab<C> {
    pub(super) fn new() -> Self {
        Self {
            cells: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Fills a free cell, or a new one; doubles up to `bound` cells.
    #[inline]
    pub(super) fn insert(&mut self, cell: C, bound: usize) -> u32 {
        if let Some(at) = self.free.pop() {
            self[at] = cell;
            return at;
        }
        if self.cells.len() == self.cells.capacity() {
            self.grow(bound);
        }
        let at = u32::try_from(self.cells.len()).expect("records of a partition fit into 32 bits");
        self.cells.push(cell);
        at
    }

    /// Frees a cell; the caller has emptied it.
    #[inline]
    pub(super) fn release(&mut self, at: u32) {
        self.free.push(at);
    }

    pub(super) fn live(&self) -> usize {
        self.cells.len() - self.free.len()
    }

    /// Every cell with its number, free ones included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &C)> {
        (0..).zip(&self.cells)
    }

    /// Cells that exist, free ones included.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.cells.len()).expect("checked when a cell was added")
    }

    #[cold]
    fn grow(&mut self, bound: usize) {
        let length = self.cells.len();
        let target = growth(length, bound);
        self.cells.reserve_exact(target - length);
        self.free.reserve_exact(target - self.free.len());
    }
}

/// Cells after one more growth step: doubled up to `bound`, and at least one more.
pub(super) fn growth(length: usize, bound: usize) -> usize {
    (length * 2).max(STEP).min(bound).max(length + 1)
}

impl<C> Index<u32> for Slab<C> {
    type Output = C;

    #[inline]
    fn index(&self, at: u32) -> &C {
        &self.cells[at as usize]
    }
}

impl<C> IndexMut<u32> for Slab<C> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut C {
        &mut self.cells[at as usize]
    }
}
