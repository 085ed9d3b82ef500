//! Story (a): events handled one by one behind a lock, beside the dispatcher with workers.
//! Layer: shell
//!
//! Three sides get the same bursts of the same events at the same moments, look at the same two
//! fields and wait for the same pretended call:
//!
//! - *told*: one by one behind a lock, as the story tells it: a copy, a tree of the body.
//! - *alike*: one by one behind a lock, with our copy and our decoder: what order costs alone.
//! - *dispatcher*: by key through the dispatcher, with our copy and our decoder.

mod keyed;
mod sequential;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use penstock_processor::record::{Parts, Position, Record, TopicId, TopicPartition};
use sonic_rs::JsonValueTrait;

use self::sequential::Handler;

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

/// All sides and what a call of 1 ms took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    /// One by one behind a lock, as the story tells it.
    pub told: Figure,
    /// One by one behind a lock, with our copy and decoder.
    pub alike: Figure,
    /// Through the dispatcher.
    pub dispatcher: Figure,
    /// Measured duration of the pretended call, microseconds.
    pub call_micros: u64,
}

/// Runs all sides, one after the other.
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
        Story {
            told: sequential::run(bursts, Handler::Told).await,
            alike: sequential::run(bursts, Handler::Alike).await,
            dispatcher: keyed::run(bursts).await,
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

/// The copy that both the dispatcher and [`Handler::Alike`] make, with the key from the body.
fn copied(offset: i64, body: &str) -> Record {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let user = sonic_rs::get(body, &["user"]).expect("the event has a user");
    let parts = Parts {
        key: Some(user.as_raw_str().as_bytes()),
        value: Some(body.as_bytes()),
        headers: &[],
        timestamp_ms: 0,
    };
    Record::copy(Position { partition, offset }, &parts)
}

/// The other field, by our decoder.
fn amount(record: &Record) -> u64 {
    let amount = sonic_rs::get(record.value().unwrap_or_default(), &["amount"]);
    let amount = amount.ok().and_then(|amount| amount.as_u64());
    amount.unwrap_or_default()
}
