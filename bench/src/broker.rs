//! A real broker: the processor's own line beside a bare client loop, in turns, in one run.
//! Layer: shell

mod bare;
mod line;
mod topic;
mod watch;

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use self::topic::Topic;
use crate::{clock, report::broker::Comparison};

/// Rounds of either side.
pub const ROUNDS: usize = 5;

/// A round that takes longer is a fault: something is stuck.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `host:port` of some brokers.
    pub bootstrap: String,
    /// Records of the topic.
    pub records: u64,
    /// Distinct keys.
    pub keys: u32,
}

/// One round of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Records per second, from the first to the last.
    pub rate: u64,
    /// CPU milliseconds of the whole process per million records, the client's threads included.
    pub cpu_millis: u64,
    /// Broken promises; 0 is a pass.
    pub faults: u64,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A call into the client failed.
    #[error("failed to {what}: {source}")]
    Client {
        /// What was tried.
        what: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// The broker refused the topic.
    #[error("broker refused topic {topic}: {code}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's answer.
        code: RDKafkaErrorCode,
    },
    /// No runtime.
    #[error("failed to start a runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The pipeline or its plan is refused: a fault of this command.
    #[error("pipeline of the measurement is refused: {0}")]
    Pipeline(String),
    /// The processor did not start or ended early.
    #[error("the line failed: {0}")]
    Line(#[from] penstock_processor::run::RunError),
    /// Not all records came in time.
    #[error("{seen} of {records} records after {PATIENCE:?}")]
    Stuck {
        /// Records that came.
        seen: u64,
        /// Records of the topic.
        records: u64,
    },
}

/// Lays the records down, has one round watched, then measures both sides in turns.
///
/// # Errors
/// When the broker cannot be used, or a round gets stuck.
pub fn measure(shape: &Shape) -> Result<Comparison, BrokerError> {
    let topic = Topic::create(shape)?;
    topic.fill(shape)?;
    let watched = line::watched_round(&topic, shape)?;
    let planned = line::properties(&topic, shape)?;
    let (mut bare, mut bounded, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Whoever comes second finds warmer caches, so the order changes.
        if round % 2 == 0 {
            bare.push(bare::round(&topic, shape, &[])?);
            bounded.push(bare::round(&topic, shape, &planned)?);
            ours.push(line::round(&topic, shape)?);
        } else {
            ours.push(line::round(&topic, shape)?);
            bounded.push(bare::round(&topic, shape, &planned)?);
            bare.push(bare::round(&topic, shape, &[])?);
        }
    }
    topic.delete()?;
    Ok(Comparison {
        records: shape.records,
        watched,
        bare,
        bounded,
        ours,
    })
}

/// Wall and CPU time since the first record.
struct Span {
    start: std::time::Instant,
    cpu: u64,
}

impl Span {
    fn begin() -> Self {
        Self {
            start: std::time::Instant::now(),
            cpu: clock::process_nanos(),
        }
    }

    fn end(&self, records: u64, faults: u64) -> Round {
        let nanos = self.start.elapsed().as_nanos().max(1);
        let cpu = clock::process_nanos() - self.cpu;
        let rate = u128::from(records) * 1_000_000_000 / nanos;
        Round {
            rate: u64::try_from(rate).expect("a rate fits into 64 bits"),
            cpu_millis: cpu / records.max(1),
            faults,
        }
    }
}

fn client(what: &'static str) -> impl Fn(KafkaError) -> BrokerError {
    move |source| BrokerError::Client { what, source }
}
