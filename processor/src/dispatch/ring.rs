//! The watermark: which admitted records are done, by admission sequence.
//! Layer: core
//!
//! Indexed by sequence and not by offset, so holes in the log (compaction, transaction markers)
//! cost nothing and the window is a number of records.

/// Smallest ring, cells.
const SMALLEST: u64 = 128;

/// Bit of a cell that says done; the rest is the offset (Kafka's offsets use 63 bits).
const DONE: u64 = 1;

/// Cells of the records in the window: `acknowledged <= base <= next`.
#[derive(Clone)]
pub(super) struct SequenceRing {
    cells: Vec<u64>,
    /// First sequence not covered by an acknowledged commit.
    acknowledged: u64,
    /// First sequence that is not done.
    base: u64,
    /// Sequence of the next record.
    next: u64,
    watermark: Option<i64>,
    last: Option<i64>,
}

impl SequenceRing {
    /// Starts an epoch. Sequences go on where the last epoch ended, so no ticket fits twice.
    pub(super) fn new(next: u64) -> Self {
        let cells = Vec::new();
        Self {
            cells,
            acknowledged: next,
            base: next,
            next,
            watermark: None,
            last: None,
        }
    }

    /// Adds a record; its sequence.
    #[inline]
    pub(super) fn push(&mut self, offset: i64) -> u64 {
        if self.window() == self.cells.len() as u64 {
            self.grow();
        }
        let sequence = self.next;
        *self.cell(sequence) = offset.cast_unsigned() << 1;
        self.next += 1;
        self.last = Some(offset);
        sequence
    }

    /// Marks a record done and advances the watermark over every done one.
    #[inline]
    pub(super) fn complete(&mut self, sequence: u64) {
        debug_assert!(
            self.base <= sequence && sequence < self.next,
            "an open record completes"
        );
        *self.cell(sequence) |= DONE;
        while self.base < self.next {
            let cell = *self.cell(self.base);
            if cell & DONE == 0 {
                break;
            }
            self.watermark = Some(offset(cell) + 1);
            self.base += 1;
        }
    }

    /// Takes note of a commit of `position` that the broker confirmed.
    #[inline]
    pub(super) fn acknowledge(&mut self, position: i64) {
        while self.acknowledged < self.base && offset(*self.cell(self.acknowledged)) < position {
            self.acknowledged += 1;
        }
    }

    /// Records admitted and not covered by an acknowledged commit.
    #[inline]
    pub(super) fn window(&self) -> u64 {
        self.next - self.acknowledged
    }

    /// Cells between the watermark and the newest record.
    pub(super) fn span(&self) -> u64 {
        self.next - self.base
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Next offset to commit; `None` until a record of the epoch is done.
    pub(super) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    #[inline]
    pub(super) fn last(&self) -> Option<i64> {
        self.last
    }

    #[inline]
    pub(super) fn oldest_open(&self) -> Option<i64> {
        (self.base < self.next).then(|| offset(self.cells[self.at(self.base)]))
    }

    #[inline]
    pub(super) fn offset(&self, sequence: u64) -> i64 {
        offset(self.cells[self.at(sequence)])
    }

    pub(super) fn is_done(&self, sequence: u64) -> bool {
        sequence < self.base || self.cells[self.at(sequence)] & DONE != 0
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "masked by the length first"
    )]
    #[inline]
    fn at(&self, sequence: u64) -> usize {
        (sequence & (self.cells.len() as u64 - 1)) as usize
    }

    #[inline]
    fn cell(&mut self, sequence: u64) -> &mut u64 {
        let at = self.at(sequence);
        &mut self.cells[at]
    }

    fn grow(&mut self) {
        let old = self.clone();
        let size = (self.cells.len() as u64 * 2).max(SMALLEST);
        self.cells = vec![0; usize::try_from(size).expect("the window fits into memory")];
        for sequence in old.acknowledged..old.next {
            *self.cell(sequence) = old.cells[old.at(sequence)];
        }
    }
}

fn offset(cell: u64) -> i64 {
    (cell >> 1).cast_signed()
}
