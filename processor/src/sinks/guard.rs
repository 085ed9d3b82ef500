//! Keeps a slow or broken sink from slowing more than what needs it: deadline, limit, breaker.
//! Layer: shell

pub mod breaker;
mod latency;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use penstock_sizing::SinkPlan;
use tokio::sync::Semaphore;

pub use self::latency::LATENCY_BOUNDS_MICROS;
use self::{
    breaker::{Breaker, BreakerPolicy, State, Ticket},
    latency::Latency,
};
use crate::sinks::{
    Effect, Reply, Sink, SinkError,
    flush_target::{Counters, FlushTarget, Place, Row, Written},
};

/// Limits around one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Longest operation; an earlier deadline of the caller holds too.
    pub timeout: Duration,
    /// Operations at once; the others wait, as far as their deadline lets them.
    pub concurrency: u32,
    /// When to stop asking.
    pub breaker: BreakerPolicy,
}

/// A sink behind its guard.
pub struct Guarded<S> {
    sink: S,
    guard: Guard,
}

/// Stands in front of the operations of one external system.
pub struct Guard {
    settings: GuardSettings,
    slots: Semaphore,
    random: fn() -> u64,
    health: Mutex<Health>,
    latency: Latency,
    refused: AtomicU64,
}

/// What outcomes change.
struct Health {
    breaker: Breaker,
    last_error: Option<Arc<str>>,
}

/// State of a guarded sink at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardHealth {
    /// State of the breaker.
    pub state: State,
    /// How long it has been so.
    pub lasting: Duration,
    /// How long until the next probe; `None` when operations are let through.
    pub retry_in: Option<Duration>,
    /// Failures of the sink in a row.
    pub consecutive_failures: u32,
    /// The last failure of the sink, without payload; kept after it has recovered.
    pub last_error: Option<Arc<str>>,
    /// Operations on their way.
    pub in_flight: u64,
    /// Operations refused at once by the open breaker since start.
    pub refused: u64,
    /// Finished operations by duration: bucket `i` up to [`LATENCY_BOUNDS_MICROS`]`[i]`, the last
    /// without bound; not cumulative.
    pub latency: [u64; LATENCY_BOUNDS_MICROS.len() + 1],
}

impl<S: Sink> Guarded<S> {
    /// Puts a guard in front of a sink.
    pub fn new(sink: S, settings: GuardSettings) -> Self {
        Self::with_random(sink, settings, jitter)
    }

    /// As [`Guarded::new`], with the source of jitter given; uniform over all of `u64`.
    pub fn with_random(sink: S, settings: GuardSettings, random: fn() -> u64) -> Self {
        Self {
            sink,
            guard: Guard::with_random(settings, random),
        }
    }

    /// Until when a key that needs this sink should stay parked; `None` when it may try now.
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.guard.retry_at(now)
    }

    /// The sink itself, for facts of its own.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// State for `/status`. What the sink has to say goes before its last failure.
    pub fn health(&self, now: Instant) -> GuardHealth {
        let health = self.guard.health(now);
        GuardHealth {
            last_error: self.sink.trouble().or(health.last_error),
            ..health
        }
    }
}

impl Guard {
    /// A guard with a closed breaker.
    #[must_use]
    pub fn new(settings: GuardSettings) -> Self {
        Self::with_random(settings, jitter)
    }

    fn with_random(settings: GuardSettings, random: fn() -> u64) -> Self {
        let breaker = Breaker::new(settings.breaker, now());
        Self {
            settings,
            slots: Semaphore::new(settings.concurrency.max(1) as usize),
            random,
            health: Mutex::new(Health {
                breaker,
                last_error: None,
            }),
            latency: Latency::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Until when a key that needs what is behind it should stay parked; `None` when it may try now.
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.health.lock().breaker.retry_at(now)
    }

    /// State for `/status`.
    pub fn health(&self, now: Instant) -> GuardHealth {
        let free = self.slots.available_permits() as u64;
        let health = self.health.lock();
        GuardHealth {
            state: health.breaker.state(),
            lasting: now.saturating_duration_since(health.breaker.since()),
            retry_in: health
                .breaker
                .retry_at(now)
                .map(|at| at.saturating_duration_since(now)),
            consecutive_failures: health.breaker.failures(),
            last_error: health.last_error.clone(),
            in_flight: u64::from(self.settings.concurrency.max(1)) - free,
            refused: self.refused.load(Relaxed),
            latency: self.latency.counts(),
        }
    }

    /// Runs an operation when breaker and slots let it through, until the deadline at most; it is
    /// told its deadline. Dropping the future gives the operation up.
    ///
    /// # Errors
    /// Those of the operation; [`SinkError::Unavailable`] when it was not let through or did not
    /// answer in time.
    pub async fn run<T, F>(
        &self,
        deadline: Instant,
        operation: impl FnOnce(Instant) -> F,
    ) -> Result<T, SinkError>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        let started = now();
        let deadline = deadline.min(started + self.settings.timeout);
        if let Some(retry_at) = self.retry_at(started) {
            return Err(self.refuse(retry_at, started));
        }
        let slot = tokio::time::timeout_at(deadline.into(), self.slots.acquire()).await;
        // Those that hold the slots will tell the breaker.
        let Ok(Ok(_slot)) = slot else {
            return Err(unavailable("no free slot until the deadline"));
        };
        let admitted = now();
        let ticket = self.health.lock().breaker.admit(admitted);
        let ticket = ticket.map_err(|retry_at| self.refuse(retry_at, admitted))?;
        let attempt = Attempt {
            guard: self,
            ticket: Some(ticket),
            admitted,
            deadline,
        };
        let outcome = tokio::time::timeout_at(deadline.into(), operation(deadline));
        let outcome = outcome
            .await
            .unwrap_or_else(|_| Err(unavailable("no answer in time")));
        attempt.settle(&outcome);
        outcome
    }

    fn refuse(&self, retry_at: Instant, now: Instant) -> SinkError {
        self.refused.fetch_add(1, Relaxed);
        let wait = retry_at.saturating_duration_since(now).as_millis();
        unavailable(&format!("breaker is open for another {wait} ms"))
    }
}

/// A flush meets the same breaker as everything else.
impl<S: Sink + FlushTarget> FlushTarget for Guarded<S> {
    fn write<'a>(
        &'a self,
        rows: &'a [Row],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Written, SinkError>>> {
        let write = move |deadline| async move { whole(self.sink.write(rows, deadline).await) };
        Box::pin(async move {
            let written = self.guard.run(deadline, write).await;
            written.unwrap_or_else(|error| rows.iter().map(|_| Err(error.clone())).collect())
        })
    }

    fn read<'a>(
        &'a self,
        place: &'a Place,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<Counters>, SinkError>> {
        let read = move |deadline| self.sink.read(place, deadline);
        Box::pin(self.guard.run(deadline, read))
    }
}

/// A batch of which no row met a sink that is up has failed as a whole.
fn whole(
    rows: Vec<Result<Written, SinkError>>,
) -> Result<Vec<Result<Written, SinkError>>, SinkError> {
    let down = |row: &Result<Written, SinkError>| matches!(row, Err(SinkError::Unavailable { .. }));
    match rows.first() {
        Some(Err(error)) if rows.iter().all(down) => Err(error.clone()),
        _ => Ok(rows),
    }
}

impl<S: Sink> Sink for Guarded<S> {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        let submit = move |deadline| self.sink.submit(effect, deadline);
        Box::pin(self.guard.run(deadline, submit))
    }

    fn incarnation(&self) -> u64 {
        self.sink.incarnation()
    }

    fn trouble(&self) -> Option<Arc<str>> {
        self.sink.trouble()
    }

    /// Behind no breaker: it is not a record's, and its own deadline bounds it.
    fn flush(&self, deadline: Instant) -> BoxFuture<'_, Result<(), SinkError>> {
        self.sink.flush(deadline)
    }

    fn taken_permille(&self) -> u64 {
        self.sink.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        self.sink.resize(sizes);
    }
}

/// An operation that has been let through; reports to the breaker also when it is dropped.
struct Attempt<'g> {
    guard: &'g Guard,
    ticket: Option<Ticket>,
    admitted: Instant,
    deadline: Instant,
}

impl Attempt<'_> {
    fn settle<T>(mut self, outcome: &Result<T, SinkError>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        match outcome {
            // A sink that refuses a record, or waits for another one, is up.
            Ok(_) | Err(SinkError::Record { .. } | SinkError::Elsewhere { .. }) => {
                let now = self.finish();
                self.guard.health.lock().breaker.succeeded(&ticket, now);
            }
            Err(SinkError::Unavailable { reason }) => self.failed(&ticket, reason),
        }
    }

    fn failed(&self, ticket: &Ticket, reason: &str) {
        let now = self.finish();
        let mut health = self.guard.health.lock();
        health.breaker.failed(ticket, now, (self.guard.random)());
        health.last_error = Some(Arc::from(reason));
    }

    fn finish(&self) -> Instant {
        let now = now();
        self.guard
            .latency
            .record(now.saturating_duration_since(self.admitted));
        now
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = now();
        if now >= self.deadline {
            // The caller's timer was quicker than ours.
            self.failed(&ticket, "no answer in time");
        } else {
            self.guard.health.lock().breaker.abandoned(&ticket, now);
        }
    }
}

/// The runtime's clock, so that tests may stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Random enough to spread probes: the keys that the standard library draws for hash maps.
fn jitter() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}
