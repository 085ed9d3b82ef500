//! Whether this replica may write now: asked before every write.
//! Layer: shell
//!
//! A time on the monotonic clock, told by whoever holds the Lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::call::CallError;

/// A shared moment until which writing is allowed.
#[derive(Clone, Debug)]
pub struct Leadership {
    origin: Instant,
    /// Milliseconds after the origin; 0 is never.
    until: Arc<AtomicU64>,
}

impl Leadership {
    /// Nobody may write yet.
    #[must_use]
    pub fn none() -> Self {
        Self {
            origin: Instant::now(),
            until: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Always leads: one process without a Lease, and tests.
    #[must_use]
    pub fn sole() -> Self {
        Self {
            origin: Instant::now(),
            until: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Time since the origin, on the monotonic clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Allows writing until then.
    pub fn extend(&self, until: Duration) {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until.store(millis, Ordering::Release);
    }

    /// Allows it no longer.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Whether writing is allowed now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.now().as_millis() < u128::from(self.until.load(Ordering::Acquire))
    }

    /// As [`Leadership::holds`].
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), CallError> {
        if self.holds() {
            Ok(())
        } else {
            Err(CallError::NotLeading)
        }
    }
}
