//! Produces a workload: a backlog at once, or a steady stream beside the processors.
//! Layer: shell

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use crate::{
    topics::{self, TopicError},
    workload::Workload,
};

const FLUSH: Duration = Duration::from_secs(60);

/// Why the input is not what the ledger says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    #[error(transparent)]
    Client(#[from] TopicError),
    #[error("{failed} records were not acknowledged by the broker")]
    Undelivered { failed: u64 },
    #[error("the stream ended early")]
    Ended,
}

/// Counts records that the broker refused.
#[derive(Clone, Default)]
struct Refused(Arc<AtomicU64>);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Appends events of a workload in order, once each.
pub(crate) struct Feed {
    producer: ThreadedProducer<Refused>,
    refused: Refused,
    topic: String,
    workload: Workload,
    value: Vec<u8>,
}

impl Feed {
    /// A producer that keeps order and repeats nothing.
    pub(crate) fn new(bootstrap: &str, topic: &str, workload: Workload) -> Result<Self, FeedError> {
        let refused = Refused::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("batch.size", "524288")
            .set("queue.buffering.max.kbytes", "65536")
            .create_with_context(refused.clone())
            .map_err(topics::client("feed"))?;
        let topic = topic.to_owned();
        Ok(Self {
            producer,
            refused,
            topic,
            workload,
            value: Vec::new(),
        })
    }

    /// Appends these events and waits until the broker has them.
    pub(crate) fn lay(&mut self, sequences: Range<u32>) -> Result<(), FeedError> {
        sequences
            .into_iter()
            .try_for_each(|sequence| self.send(sequence))?;
        self.settle()
    }

    fn send(&mut self, sequence: u32) -> Result<(), FeedError> {
        let event = self.workload.event(sequence);
        event.write_value(&mut self.value);
        let key = event.key_bytes();
        let partition = i32::try_from(event.partition).unwrap_or(i32::MAX);
        let mut record = BaseRecord::to(&self.topic)
            .partition(partition)
            .key(&key)
            .payload(&self.value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => return Err(topics::client("append a record")(error).into()),
            }
        }
    }

    fn settle(&self) -> Result<(), FeedError> {
        self.producer
            .flush(FLUSH)
            .map_err(topics::client("flush the feed"))?;
        match self.refused.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(FeedError::Undelivered { failed }),
        }
    }

    /// Appends `per_second` events a second from sequence 0, until stopped.
    pub(crate) fn stream(mut self, per_second: u32) -> Stream {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let started = Instant::now();
            let mut sent = 0;
            while !flag.load(Ordering::Relaxed) {
                let due = started.elapsed().as_millis() * u128::from(per_second) / 1_000;
                let due = u32::try_from(due).unwrap_or(u32::MAX);
                (sent..due).try_for_each(|sequence| self.send(sequence))?;
                sent = due;
                thread::sleep(Duration::from_millis(10));
            }
            self.settle()?;
            Ok(sent)
        });
        Stream { stop, thread }
    }
}

/// A feed that runs on a thread of its own.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32, FeedError>>,
}

impl Stream {
    /// Ends it; how many events it appended.
    pub(crate) fn stop(self) -> Result<u32, FeedError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| FeedError::Ended)?
    }
}
