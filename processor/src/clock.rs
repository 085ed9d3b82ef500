//! The process's clocks: a monotonic one in ticks for parked keys, the wall clock for ages.
//! Layer: shell

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dispatch::engine::Tick;

/// Counts milliseconds from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn tick(&self) -> Tick {
        self.tick_after(Duration::ZERO)
    }

    /// The first tick not before `after` has passed.
    #[must_use]
    pub fn tick_after(&self, after: Duration) -> Tick {
        let at = self.start.elapsed() + after;
        Tick(u64::try_from(at.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
    }

    /// The wall clock, milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
    }
}
