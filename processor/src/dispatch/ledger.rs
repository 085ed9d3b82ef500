//! Bytes and records held against a budget; an imbalance stops the process instead of drifting.
//! Layer: core

/// What is held now. Each reservation is released exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    bytes: u64,
    records: u64,
}

impl Ledger {
    /// Bytes held.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records held.
    #[must_use]
    #[inline]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether `charge` more bytes fit into `budget`. A charge above the whole budget fits only an
    /// empty ledger, so that one oversized record passes alone instead of waiting for ever.
    #[must_use]
    #[inline]
    pub fn fits(&self, charge: u64, budget: u64) -> bool {
        self.records == 0
            || self
                .bytes
                .checked_add(charge)
                .is_some_and(|sum| sum <= budget)
    }

    /// Holds one record of `charge` bytes.
    ///
    /// # Panics
    /// When the sum leaves 64 bits.
    #[inline]
    pub fn reserve(&mut self, charge: u64) {
        self.bytes = self
            .bytes
            .checked_add(charge)
            .expect("charges fit into 64 bits");
        self.records += 1;
    }

    /// Gives back what was reserved.
    ///
    /// # Panics
    /// When more is released than was reserved.
    #[inline]
    pub fn release(&mut self, released: Released) {
        let left = self.bytes.checked_sub(released.bytes);
        self.bytes = left.expect("a charge is released once");
        let left = self.records.checked_sub(released.records);
        self.records = left.expect("a record is released once");
    }

    /// Moves one record of `charge` bytes to another ledger.
    pub(super) fn transfer(&mut self, charge: u64, to: &mut Self) {
        self.release(Released::one(charge));
        to.reserve(charge);
    }
}

/// What an operation gave back; the pod's ledger must hear of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the pod's ledger holds the same charge"]
pub struct Released {
    /// Bytes.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

impl Released {
    pub(super) fn one(bytes: u64) -> Self {
        Self { bytes, records: 1 }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.records += other.records;
    }
}
