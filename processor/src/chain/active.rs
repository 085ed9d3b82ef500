//! The budget of parsed bodies: reserved before parsing, returned when the visit ends.
//! Layer: shell

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::stage::StageError;

/// Bytes of one permit.
const UNIT: u64 = 1024;

/// Bytes that the parsed bodies of all running events may occupy together.
///
/// Waiters are served in the order they came, so a large body is not starved by small ones.
pub struct ActiveBudget {
    semaphore: Semaphore,
    units: u32,
}

/// A part of the budget; returned by `Drop`.
pub struct Reservation<'a> {
    _permit: SemaphorePermit<'a>,
}

impl ActiveBudget {
    /// A budget of so many bytes, counted in KiB; the rest below one KiB is not used.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        let permits = usize::try_from(units).map_or(Semaphore::MAX_PERMITS, |units| {
            units.min(Semaphore::MAX_PERMITS)
        });
        Self {
            semaphore: Semaphore::new(permits),
            units,
        }
    }

    /// The whole budget, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.units) * UNIT
    }

    /// Bytes that nobody has reserved now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.semaphore.available_permits() as u64 * UNIT
    }

    /// Waits until so many bytes are free.
    ///
    /// # Errors
    /// [`StageError::TooComplex`] at once when that can never be: the estimate exceeds the whole
    /// budget.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn reserve(&self, estimate: u64) -> Result<Reservation<'_>, StageError> {
        let units = u32::try_from(estimate.div_ceil(UNIT)).unwrap_or(u32::MAX);
        if units > self.units {
            return Err(StageError::TooComplex {
                estimate,
                budget: self.bytes(),
            });
        }
        let permit = self.semaphore.acquire_many(units).await;
        Ok(Reservation {
            _permit: permit.expect("the semaphore is never closed"),
        })
    }
}
