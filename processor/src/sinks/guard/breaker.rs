//! A circuit breaker: closed, open until a moment, half-open for one probe.
//! Layer: core
//!
//! *What it bounds.* A failed record is not retried here: its key parks until [`Breaker::retry_at`].
//! While the breaker is open nothing reaches the sink; after it, one probe does, and each probe
//! that fails doubles the ceiling of the next wait. So an outage costs the sink at most the
//! operations that were running when it began, `threshold` failures, and one probe per wait; and
//! when it ends, the parked keys return under the guard's concurrency limit.

use std::time::{Duration, Instant};

/// When a breaker opens and how long it stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; at least one.
    pub threshold: u32,
    /// Ceiling of the first wait.
    pub initial: Duration,
    /// Ceiling of every wait.
    pub max: Duration,
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Closed,
    /// Nothing until then.
    Open {
        /// When a probe may go.
        until: Instant,
    },
    /// Nothing but the probe that is on its way.
    HalfOpen,
}

/// Allows one operation; its outcome is reported with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
}

/// Decides whether operations may reach a sink, from how the last ones ended.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    since: Instant,
    /// Counts changes of state: an outcome from before the last change says nothing about now.
    epoch: u64,
    failures: u32,
    /// Waits since it was last closed.
    waits: u32,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy, now: Instant) -> Self {
        Self {
            policy,
            state: State::Closed,
            since: now,
            epoch: 0,
            failures: 0,
            waits: 0,
        }
    }

    /// Lets an operation through, or says when to ask again.
    ///
    /// # Errors
    /// The moment before which nothing will be let through.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Instant> {
        if let Some(retry_at) = self.retry_at(now) {
            return Err(retry_at);
        }
        if self.state != State::Closed {
            self.enter(State::HalfOpen, now);
        }
        Ok(Ticket { epoch: self.epoch })
    }

    /// The sink answered, be it with a refusal of the record: the breaker closes.
    pub fn succeeded(&mut self, ticket: &Ticket, now: Instant) {
        if ticket.epoch != self.epoch {
            return;
        }
        (self.failures, self.waits) = (0, 0);
        if self.state != State::Closed {
            self.enter(State::Closed, now);
        }
    }

    /// The sink did not answer or was not able to. `random` is uniform over all of `u64`.
    pub fn failed(&mut self, ticket: &Ticket, now: Instant, random: u64) {
        if ticket.epoch != self.epoch {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.state == State::HalfOpen || self.failures >= self.policy.threshold {
            let until = now + self.wait(random);
            self.waits = self.waits.saturating_add(1);
            self.enter(State::Open { until }, now);
        }
    }

    /// The operation was given up for reasons that are not the sink's. A probe leaves room for
    /// another one.
    pub fn abandoned(&mut self, ticket: &Ticket, now: Instant) {
        if ticket.epoch == self.epoch && self.state == State::HalfOpen {
            self.enter(State::Open { until: now }, now);
        }
    }

    /// When to ask again; `None` when an operation would be let through now. While a probe is on
    /// its way that is one first wait from now.
    #[must_use]
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Open { until } => (until > now).then_some(until),
            State::HalfOpen => Some(now + self.policy.initial),
        }
    }

    /// What is let through.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Full jitter: uniform between nothing and the ceiling, which doubles up to the maximum
    /// (Brooker, "Exponential Backoff And Jitter", 2015).
    fn wait(&self, random: u64) -> Duration {
        let factor = 1_u32.checked_shl(self.waits).unwrap_or(u32::MAX);
        let ceiling = self
            .policy
            .initial
            .saturating_mul(factor)
            .min(self.policy.max);
        let nanos = (ceiling.as_nanos().min(u64::MAX.into()) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).expect("a product of two u64, shifted by 64"))
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        threshold: 3,
        initial: Duration::from_millis(100),
        max: Duration::from_millis(1_000),
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_opens_at_the_threshold_probes_once_and_closes() {
        let start = Instant::now();
        let mut breaker = Breaker::new(POLICY, start);
        for _ in 0..3 {
            let ticket = breaker.admit(start).expect("closed");
            breaker.failed(&ticket, start, u64::MAX);
        }
        let retry_at = breaker.admit(start).expect_err("open");
        assert!(retry_at <= start + ms(100) && retry_at > start + ms(99));
        assert_eq!(breaker.retry_at(start), Some(retry_at));
        assert_eq!(breaker.retry_at(retry_at), None);
        let probe = breaker.admit(retry_at).expect("the probe");
        breaker.admit(retry_at).expect_err("one probe at a time");
        breaker.succeeded(&probe, retry_at);
        assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
    }

    #[test]
    fn ceilings_double_up_to_the_maximum() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(
            BreakerPolicy {
                threshold: 1,
                ..POLICY
            },
            now,
        );
        let mut waits = Vec::new();
        for _ in 0..40 {
            let ticket = breaker.admit(now).expect("the wait is over");
            breaker.failed(&ticket, now, u64::MAX);
            let until = breaker.retry_at(now).expect("open");
            waits.push((until - now).as_millis() + 1);
            now = until;
        }
        assert_eq!(waits[..5], [100, 200, 400, 800, 1_000]);
        assert!(waits[5..].iter().all(|wait| *wait == 1_000));
    }

    #[test]
    fn an_outcome_from_before_the_opening_changes_nothing() {
        let now = Instant::now();
        let mut breaker = Breaker::new(
            BreakerPolicy {
                threshold: 1,
                ..POLICY
            },
            now,
        );
        let (early, late) = (
            breaker.admit(now).expect("closed"),
            breaker.admit(now).expect("too"),
        );
        let third = breaker.admit(now).expect("too");
        breaker.failed(&early, now, u64::MAX);
        let opened = breaker.state();
        breaker.failed(&late, now, u64::MAX);
        breaker.succeeded(&third, now);
        assert_eq!((breaker.state(), breaker.failures()), (opened, 1));
    }

    #[test]
    fn a_probe_given_up_makes_room_for_another() {
        let now = Instant::now();
        let mut breaker = Breaker::new(
            BreakerPolicy {
                threshold: 1,
                ..POLICY
            },
            now,
        );
        let ticket = breaker.admit(now).expect("closed");
        breaker.failed(&ticket, now, 0);
        let probe = breaker.admit(now).expect("no wait at all was drawn");
        breaker.abandoned(&probe, now);
        breaker.admit(now).expect("another probe");
    }

    proptest! {
        /// Never two probes, never an admission before the promised moment, and never a wait
        /// without an end.
        #[test]
        fn a_broken_sink_sees_one_probe_per_wait(
            steps in prop::collection::vec((0..300_u64, any::<u64>(), 0..3_u8), 1..200),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(POLICY, now);
            let mut running: Vec<Ticket> = Vec::new();
            let mut open_until = None;
            for (elapsed, random, step) in steps {
                now += ms(elapsed);
                let was_closed = breaker.state() == State::Closed;
                match (step, running.pop()) {
                    (0, Some(ticket)) => breaker.failed(&ticket, now, random),
                    (1, Some(ticket)) => breaker.abandoned(&ticket, now),
                    (_, kept) => {
                        running.extend(kept);
                        match breaker.admit(now) {
                            Ok(ticket) => {
                                prop_assert!(open_until.is_none_or(|until| until <= now));
                                prop_assert!(was_closed || breaker.state() == State::HalfOpen);
                                running.push(ticket);
                            }
                            Err(retry_at) => {
                                prop_assert!(!was_closed && retry_at > now);
                                prop_assert!(retry_at <= now + POLICY.max);
                            }
                        }
                    }
                }
                open_until = match breaker.state() {
                    State::Open { until } => Some(until),
                    State::Closed | State::HalfOpen => None,
                };
                let probes = running.iter().filter(|ticket| ticket.epoch == breaker.epoch).count();
                prop_assert!(breaker.state() != State::HalfOpen || probes == 1);
            }
        }
    }
}
