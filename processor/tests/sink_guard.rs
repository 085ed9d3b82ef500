//! The guard in front of a sink that is rejected, fails after writing, never answers, or is slow.
//! Layer: test

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, FutureExt, join_all};
use parking_lot::Mutex;
use penstock_processor::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Action, Effect, Provenance, Reply, Sink, SinkError,
        embedded::{Embedded, EmbeddedSettings},
        guard::{
            GuardSettings, Guarded,
            breaker::{BreakerPolicy, State},
        },
    },
};

/// How the sink behind the guard behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Rejected,
    Refused,
    FailedAfterWriting,
    NeverAnswers,
    Slow(Duration),
}

/// A sink with a fault that can be changed while it runs.
struct Faulty<S> {
    sink: S,
    fault: Mutex<Fault>,
    reached: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl<S> Faulty<S> {
    fn new(sink: S, fault: Fault) -> Self {
        let zero = || AtomicUsize::new(0);
        Self {
            sink,
            fault: Mutex::new(fault),
            reached: zero(),
            running: zero(),
            most: zero(),
        }
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }
}

impl<S: Sink> Sink for Faulty<S> {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        let fault = *self.fault.lock();
        self.reached.fetch_add(1, SeqCst);
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(running, SeqCst);
        let answer = async move {
            match fault {
                Fault::None => self.sink.submit(effect, deadline).await,
                Fault::Rejected => Err(SinkError::Record {
                    reason: "bad document".to_owned(),
                }),
                Fault::Refused => Err(SinkError::Unavailable {
                    reason: "refused".to_owned(),
                }),
                Fault::FailedAfterWriting => {
                    self.sink.submit(effect, deadline).await.expect("written");
                    Err(SinkError::Unavailable {
                        reason: "connection reset".to_owned(),
                    })
                }
                Fault::NeverAnswers => futures::future::pending().await,
                Fault::Slow(by) => {
                    tokio::time::sleep(by).await;
                    self.sink.submit(effect, deadline).await
                }
            }
        };
        let running = &self.running;
        async move {
            let outcome = answer.await;
            running.fetch_sub(1, SeqCst);
            outcome
        }
        .boxed()
    }
}

/// A sink that always applies.
struct Applies;

impl Sink for Applies {
    fn submit(&self, _: Effect, _: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        async { Ok(Reply::Applied) }.boxed()
    }
}

const SETTINGS: GuardSettings = GuardSettings {
    timeout: Duration::from_secs(15),
    concurrency: 4,
    breaker: BreakerPolicy {
        threshold: 3,
        initial: Duration::from_millis(100),
        max: Duration::from_secs(10),
    },
};

fn guarded(fault: Fault) -> Guarded<Faulty<Applies>> {
    Guarded::with_random(Faulty::new(Applies, fault), SETTINGS, || u64::MAX)
}

fn effect(offset: i64) -> Effect {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let position = Position { partition, offset };
    let provenance = Provenance {
        generation: 0,
        topic: Arc::from("t"),
        position,
        floor: 0,
    };
    let amounts = vec![(Arc::from("views"), 1)];
    let action = Action::Count {
        collection: Arc::from("c"),
        id: "p".to_owned(),
        amounts,
    };
    Effect {
        stage: Arc::from("stats"),
        provenance,
        action,
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn submit<S: Sink>(guard: &Guarded<S>, offset: i64) -> Result<Reply, SinkError> {
    guard
        .submit(effect(offset), now() + Duration::from_secs(60))
        .await
}

fn reason(outcome: Result<Reply, SinkError>) -> String {
    outcome.expect_err("refused").to_string()
}

#[tokio::test(start_paused = true)]
async fn a_refusing_sink_is_left_alone_and_probed() {
    let guard = guarded(Fault::Refused);
    for offset in 0..3 {
        assert_eq!(
            reason(submit(&guard, offset).await),
            "sink unavailable: refused"
        );
    }
    let before = now();
    for offset in 0..100 {
        let reason = reason(submit(&guard, offset).await);
        assert!(
            reason.starts_with("sink unavailable: breaker is open for another "),
            "{reason}"
        );
    }
    assert_eq!(now(), before, "at once");
    assert_eq!(guard.sink().reached.load(SeqCst), 3);
    let health = guard.health(now());
    assert_eq!((health.refused, health.consecutive_failures), (100, 3));
    assert_eq!(health.last_error.as_deref(), Some("refused"));

    // A minute of outage, with a crowd that comes back whenever it is told to.
    while now() < before + Duration::from_secs(60) {
        if let Some(retry_at) = guard.retry_at(now()) {
            tokio::time::sleep_until(retry_at.into()).await;
        }
        join_all((0..50).map(|offset| submit(&guard, offset))).await;
    }
    let probes = guard.sink().reached.load(SeqCst) - 3;
    assert!((6..=16).contains(&probes), "{probes} probes in a minute");

    guard.sink().set(Fault::None);
    let retry_at = guard.retry_at(now()).expect("still open");
    tokio::time::sleep_until(retry_at.into()).await;
    submit(&guard, 0).await.expect("the probe");
    assert_eq!(guard.retry_at(now()), None);
    assert_eq!(guard.health(now()).state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_record_says_nothing_against_the_sink() {
    let guard = guarded(Fault::Rejected);
    for offset in 0..20 {
        assert_eq!(
            reason(submit(&guard, offset).await),
            "sink rejected the record: bad document"
        );
    }
    assert_eq!(guard.health(now()).state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_unavailable_at_the_deadline() {
    let guard = guarded(Fault::NeverAnswers);
    let started = now();
    assert_eq!(
        reason(submit(&guard, 0).await),
        "sink unavailable: no answer in time"
    );
    assert_eq!(now() - started, SETTINGS.timeout);
    let earlier = now() + Duration::from_secs(1);
    let outcome = guard.submit(effect(1), earlier).await;
    assert_eq!(reason(outcome), "sink unavailable: no answer in time");
    assert_eq!(now(), earlier);
    // The last failure before the breaker opens comes from a caller with a timer of its own.
    let third = tokio::time::timeout(SETTINGS.timeout, submit(&guard, 2)).await;
    assert!(third.is_err() || third.is_ok_and(|outcome| outcome.is_err()));
    assert!(matches!(guard.health(now()).state, State::Open { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_early_says_nothing_against_the_sink() {
    let guard = guarded(Fault::NeverAnswers);
    for offset in 0..20 {
        assert!(submit(&guard, offset).now_or_never().is_none());
    }
    let health = guard.health(now());
    assert_eq!((health.state, health.in_flight), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_is_used_up_to_its_limit() {
    let guard = guarded(Fault::Slow(Duration::from_secs(1)));
    let started = now();
    let outcomes = join_all((0..8).map(|offset| submit(&guard, offset))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(guard.sink().most.load(SeqCst), 4);
    assert_eq!(now() - started, Duration::from_secs(2));
    // Whoever finds no slot until the deadline is told so, and the breaker is not.
    guard.sink().set(Fault::Slow(Duration::from_secs(14)));
    let outcomes = join_all((0..8).map(|offset| submit(&guard, offset))).await;
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed.len(), 4);
    let health = guard.health(now());
    assert_eq!(health.latency.iter().sum::<u64>(), 16);
}

#[tokio::test]
async fn failing_after_writing_costs_a_repeat_and_no_second_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sink.db");
    let settings = EmbeddedSettings {
        path: path.clone(),
        queue_effects: 64,
        queue_bytes: 1 << 20,
        group_effects: 32,
        page_cache_bytes: 1 << 20,
        log_bytes: 32 << 20,
    };
    let file = Embedded::open(settings).expect("the file opens");
    let guard = Guarded::with_random(Faulty::new(file, Fault::FailedAfterWriting), SETTINGS, || 0);
    assert_eq!(
        reason(submit(&guard, 0).await),
        "sink unavailable: connection reset"
    );
    guard.sink().set(Fault::None);
    assert_eq!(
        submit(&guard, 0).await.expect("applied before"),
        Reply::Redelivered
    );
    assert_eq!(
        submit(&guard, 1).await.expect("another record"),
        Reply::Applied
    );
    drop(guard);
    let file = rusqlite::Connection::open(&path).expect("opens");
    let views: i64 = file
        .query_row("SELECT value FROM counters", [], |row| row.get(0))
        .expect("one counter");
    assert_eq!(views, 2);
}
