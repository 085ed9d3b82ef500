//! What must be true of every run: order per key, each record once, a contiguous watermark.
//! Layer: core

/// Follows one partition of a run.
pub struct Oracle {
    /// Next offset that each key may start, as the last started one.
    started: Vec<i64>,
    running: Vec<Runs>,
    done: Vec<Done>,
    base: usize,
    faults: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

impl Oracle {
    /// An oracle for offsets `0..records` over `keys` keys.
    #[must_use]
    pub fn new(keys: usize, records: usize) -> Self {
        Self {
            started: vec![-1; keys],
            running: vec![Runs::No; keys],
            done: vec![Done::No; records],
            base: 0,
            faults: 0,
        }
    }

    /// A worker was given the record.
    pub fn start(&mut self, rank: u32, offset: i64) {
        let rank = rank as usize;
        let fault = self.running[rank] == Runs::Yes || self.started[rank] >= offset;
        self.faults += u64::from(fault);
        (self.running[rank], self.started[rank]) = (Runs::Yes, offset);
    }

    /// The record was finished and the subject says this watermark.
    pub fn finish(&mut self, rank: u32, offset: i64, watermark: Option<i64>) {
        self.running[rank as usize] = Runs::No;
        let at = usize::try_from(offset).expect("offsets are not negative");
        self.faults += u64::from(self.done[at] == Done::Yes);
        self.done[at] = Done::Yes;
        while self.done.get(self.base) == Some(&Done::Yes) {
            self.base += 1;
        }
        let expected = i64::try_from(self.base).expect("offsets fit");
        self.faults += u64::from(watermark.unwrap_or(0) != expected);
    }

    /// Faults seen, records that never finished included; 0 is a pass.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults + (self.done.len() - self.base) as u64
    }
}
