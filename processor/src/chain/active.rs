//! The budget of parsed bodies: reserved before parsing, returned when the visit ends.
//! Layer: shell

use tokio::sync::SemaphorePermit;

use crate::{
    elastic::{Above, Elastic},
    stage::StageError,
};

/// Bytes of one permit.
const UNIT: u64 = 1024;

/// Bytes that the parsed bodies of all running events may occupy together.
///
/// Waiters are served in the order they came, so a large body is not starved by small ones.
pub struct ActiveBudget(Elastic);

/// A part of the budget; returned by `Drop`.
pub struct Reservation<'a> {
    _permit: SemaphorePermit<'a>,
}

impl ActiveBudget {
    /// A budget of so many bytes, counted in KiB; the rest below one KiB is not used.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Elastic::new(units(bytes)))
    }

    /// The whole budget, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.0.size()) * UNIT
    }

    /// Bytes that nobody has reserved now.
    #[must_use]
    pub fn available(&self) -> u64 {
        u64::from(self.0.available()) * UNIT
    }

    /// Changes the budget; what is reserved stays so. Call it inside a runtime.
    pub fn resize(&self, bytes: u64) {
        self.0.resize(units(bytes));
    }

    /// Waits until so many bytes are free.
    ///
    /// # Errors
    /// [`StageError::TooComplex`] at once when that can never be: the estimate exceeds the whole
    /// budget.
    pub async fn reserve(&self, estimate: u64) -> Result<Reservation<'_>, StageError> {
        let wish = u32::try_from(estimate.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match self.0.acquire(wish, Above::Refuse).await {
            Some(permit) => Ok(Reservation { _permit: permit }),
            None => Err(StageError::TooComplex {
                estimate,
                budget: self.bytes(),
            }),
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes / UNIT).unwrap_or(u32::MAX)
}
