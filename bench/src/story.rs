//! Story (a): events handled one by one behind a lock, beside the dispatcher with workers.
//! Layer: shell
//!
//! Both sides get the same bursts of the same events at the same moments, look at the same two
//! fields and wait for the same pretended call. The first is written as the story tells it: copies
//! of the parts, a tree of the body, one lock around it all.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use penstock_processor::{
    dispatch::{
        Epoch, KeyHasher, Limits, NullKeys, Ordering,
        pool::{Admission, Budgets, Dispatcher, Lanes, Locality, Next, Outcome, PoolId},
    },
    record::{Parts, Position, Record, TopicId, TopicPartition},
};
use sonic_rs::JsonValueTrait;
use tokio::sync::{Mutex as Lock, mpsc};

use crate::allocations;

/// Workers on either side.
const WORKERS: usize = 8;
/// Events of a burst, all at once.
const BURST: usize = 16;
/// Between two bursts; the sequential handler needs about 35 ms for one.
const PAUSE: Duration = Duration::from_millis(50);
/// The pretended call; what the timer makes of it is printed.
const CALL: Duration = Duration::from_millis(1);

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Mean microseconds from arrival to the end.
    pub mean_micros: u64,
    /// The 99th percentile.
    pub p99_micros: u64,
    /// Hundredths of an allocation per event.
    pub centi_allocations: u64,
    /// Events that were not handled exactly once, or a sum that is wrong.
    pub faults: u64,
}

/// Both sides and what a call of 1 ms took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    /// One by one behind a lock.
    pub sequential: Figure,
    /// Through the dispatcher.
    pub dispatcher: Figure,
    /// Measured duration of the pretended call, microseconds.
    pub call_micros: u64,
}

/// Runs both, one after the other.
///
/// # Panics
/// When the runtime can not be built.
#[must_use]
pub fn measure(bursts: usize) -> Story {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(async {
        let start = Instant::now();
        for _ in 0..50 {
            tokio::time::sleep(CALL).await;
        }
        let call_micros = micros(start.elapsed()) / 50;
        let sequential = sequential(bursts).await;
        Story {
            sequential,
            dispatcher: dispatcher(bursts).await,
            call_micros,
        }
    })
}

/// Latencies and the sum of a field, which shows that every event was looked at.
struct Tally {
    latencies: Vec<u64>,
    sum: u64,
}

impl Tally {
    fn new(events: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            latencies: Vec::with_capacity(events),
            sum: 0,
        }))
    }

    fn add(&mut self, arrived: Instant, amount: u64) {
        self.latencies.push(micros(arrived.elapsed()));
        self.sum += amount;
    }

    fn figure(&mut self, events: usize, allocations: u64) -> Figure {
        self.latencies.sort_unstable();
        let sum: u64 = self.latencies.iter().sum();
        let wrong = u64::from(self.sum != (0..events as u64).map(|n| n % 97).sum::<u64>());
        Figure {
            mean_micros: sum / events as u64,
            p99_micros: self
                .latencies
                .get(events * 99 / 100)
                .copied()
                .unwrap_or(u64::MAX),
            centi_allocations: allocations * 100 / events as u64,
            faults: events.abs_diff(self.latencies.len()) as u64 + wrong,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("a run is short")
}

/// A storefront event of about 1 KiB.
fn event(number: usize) -> String {
    let amount = number % 97;
    let user = number % 40;
    let text = "x".repeat(600);
    format!(
        r#"{{"id":"e{number}","user":"u{user}","shop":"s1","type":"view","amount":{amount},
"ad":{{"campaign":"c{user}","source":"mail"}},"customer":{{"email":"u{user}@example.org"}},
"tags":["a","b","c","d"],"page":{{"url":"/p/{number}","title":"{text}"}}}}"#
    )
}

async fn sequential(bursts: usize) -> Figure {
    let events = bursts * BURST;
    let tally = Tally::new(events);
    let (send, receive) = mpsc::channel::<(Instant, usize, String)>(BURST);
    let receive = Arc::new(Lock::new(receive));
    let handler = Arc::new(Lock::new(()));
    let bodies: Vec<_> = (0..events).map(event).collect();
    let before = allocations::count();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (receive, handler, tally) = (receive.clone(), handler.clone(), tally.clone());
            tokio::spawn(async move {
                loop {
                    let Some((arrived, _, body)) = receive.lock().await.recv().await else {
                        return;
                    };
                    let _one_by_one = handler.lock().await;
                    let amount = handle_as_told(body.as_bytes());
                    tokio::time::sleep(CALL).await;
                    tally.lock().add(arrived, amount);
                }
            })
        })
        .collect();
    let start = tokio::time::Instant::now();
    let mut bodies = (0..).zip(bodies);
    for burst in 0..bursts {
        tokio::time::sleep_until(start + PAUSE * u32::try_from(burst).expect("few bursts")).await;
        let arrived = Instant::now();
        for (number, body) in bodies.by_ref().take(BURST) {
            send.send((arrived, number, body))
                .await
                .expect("the workers live");
        }
    }
    drop(send);
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    let allocations = allocations::count() - before;
    tally.lock().figure(events, allocations)
}

/// Copies of the parts and a tree of the body.
fn handle_as_told(body: &[u8]) -> u64 {
    let value = body.to_vec();
    let tree: serde_json::Value = serde_json::from_slice(&value).expect("the event is JSON");
    let key = tree["user"].as_str().unwrap_or_default().to_string();
    std::hint::black_box(key);
    tree["amount"].as_u64().unwrap_or_default()
}

async fn dispatcher(bursts: usize) -> Figure {
    let events = bursts * BURST;
    let tally = Tally::new(events);
    let limits = Limits {
        records: 512,
        bytes: 1 << 24,
        window: 4_096,
        running: 8,
        detached_running: 1,
    };
    let budgets = Budgets {
        pod_bytes: 1 << 24,
        partition: limits,
    };
    let dispatcher: Dispatcher<(Instant, Record)> =
        Dispatcher::new(Lanes::with_detached(0), budgets);
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    dispatcher.assign(partition, Epoch(1));
    let bodies: Vec<_> = (0..events).map(event).collect();
    let before = allocations::count();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(dispatcher.clone(), tally.clone())))
        .collect();
    let hasher = KeyHasher::new(Ordering::PerKey, NullKeys::Spread);
    let mut batch = VecDeque::with_capacity(BURST);
    let start = tokio::time::Instant::now();
    for (burst, bodies) in (0..).zip(bodies.chunks(BURST)) {
        tokio::time::sleep_until(start + PAUSE * burst).await;
        let arrived = Instant::now();
        for (offset, body) in (i64::from(burst) * BURST as i64..).zip(bodies) {
            let position = Position { partition, offset };
            let user = sonic_rs::get(body.as_str(), &["user"]).expect("the event has a user");
            let key = Some(user.as_raw_str().as_bytes());
            let parts = Parts {
                key,
                value: Some(body.as_bytes()),
                headers: &[],
                timestamp_ms: 0,
            };
            let payload = (arrived, Record::copy(position, &parts));
            batch.push_back(Admission {
                offset,
                key: hasher.key(key),
                charge: 1_352,
                payload,
            });
        }
        dispatcher.admit(partition, &mut batch);
    }
    while dispatcher.pod().records > 0 {
        tokio::time::sleep(CALL).await;
    }
    dispatcher.close();
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    let allocations = allocations::count() - before;
    tally.lock().figure(events, allocations)
}

async fn work(dispatcher: Dispatcher<(Instant, Record)>, tally: Arc<Mutex<Tally>>) {
    let mut worker = dispatcher.worker(PoolId(0), Locality::Remote);
    while worker.next().await == Next::Turn {
        while let Some(job) = worker.pop() {
            let (arrived, record) = job.payload;
            let amount = sonic_rs::get(record.value().unwrap_or_default(), &["amount"]);
            let amount = amount
                .ok()
                .and_then(|amount| amount.as_u64())
                .unwrap_or_default();
            tokio::time::sleep(CALL).await;
            tally.lock().add(arrived, amount);
            worker.settle(job.seat, Outcome::Complete);
        }
    }
}
