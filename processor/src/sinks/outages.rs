//! How long a key should stay parked behind each sink.
//! Layer: shell

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::guard::{Guard, GuardHealth, Guarded};
use crate::sinks::Sink;

/// Wait behind a sink that has no breaker of its own, and least wait behind one whose breaker would
/// let the next operation through: a failure costs at least this.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// A guard, whatever it guards.
pub trait Breaking: Send + Sync {
    /// Until when nothing is let through.
    fn retry_at(&self, now: Instant) -> Option<Instant>;
    /// State for the status.
    fn health(&self, now: Instant) -> GuardHealth;
}

impl<S: Sink> Breaking for Guarded<S> {
    fn retry_at(&self, now: Instant) -> Option<Instant> {
        Guarded::retry_at(self, now)
    }

    fn health(&self, now: Instant) -> GuardHealth {
        Guarded::health(self, now)
    }
}

impl Breaking for Guard {
    fn retry_at(&self, now: Instant) -> Option<Instant> {
        Guard::retry_at(self, now)
    }

    fn health(&self, now: Instant) -> GuardHealth {
        Guard::health(self, now)
    }
}

/// The guards by the name of their sink.
#[derive(Clone, Default)]
pub struct Outages(BTreeMap<Arc<str>, Arc<dyn Breaking>>);

impl Outages {
    /// Adds a guard.
    pub fn watch(&mut self, name: Arc<str>, guard: Arc<dyn Breaking>) {
        self.0.insert(name, guard);
    }

    /// How long to wait before the next attempt: until the breaker lets a probe through, and up to
    /// twice that by `random`, so that parked keys do not come back as one.
    #[must_use]
    pub fn wait(&self, sink: &str, random: u64) -> Duration {
        let now = Instant::now();
        let until = self.0.get(sink).and_then(|guard| guard.retry_at(now));
        let least = until.map_or(LEAST_WAIT, |at| at.saturating_duration_since(now));
        let least = least.max(LEAST_WAIT);
        let spread = u64::try_from(least.as_millis()).unwrap_or(u64::MAX).max(1);
        least + Duration::from_millis(random % spread)
    }

    /// Every guard's state, by name.
    #[must_use]
    pub fn health(&self) -> Vec<(Arc<str>, GuardHealth)> {
        let now = Instant::now();
        self.0
            .iter()
            .map(|(name, guard)| (Arc::clone(name), guard.health(now)))
            .collect()
    }
}
