//! Lays a backlog of one payload down, in batches and a codec of its shape.
//! Layer: shell

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use super::payload::Payload;
use crate::{
    feed::FeedError,
    interrupt,
    topics::{self, TopicError},
};

const FLUSH: Duration = Duration::from_secs(300);
/// Records between two looks at Ctrl-C.
const LOOK: u64 = 10_000;

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

/// Appends records of one payload to one topic.
pub(crate) struct Layer {
    producer: ThreadedProducer<Refused>,
    refused: Refused,
    topic: String,
    payload: Payload,
    seed: u64,
    largest: usize,
    value: Vec<u8>,
}

/// Of which records a layer is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Their shape.
    pub(crate) payload: Payload,
    /// Start of every choice.
    pub(crate) seed: u64,
    /// Size of the large ones, at most.
    pub(crate) largest: usize,
}

impl Layer {
    /// A producer that keeps order and repeats nothing.
    pub(crate) fn new(bootstrap: &str, topic: &str, kind: Kind) -> Result<Self, FeedError> {
        let refused = Refused::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("message.max.bytes", "1048576")
            .set("batch.size", kind.payload.batch_bytes().to_string())
            .set("compression.codec", kind.payload.codec())
            .set("queue.buffering.max.kbytes", "131072")
            .create_with_context(refused.clone())
            .map_err(topics::client("layer"))?;
        Ok(Self {
            producer,
            refused,
            topic: topic.to_owned(),
            payload: kind.payload,
            seed: kind.seed,
            largest: kind.largest,
            value: Vec::new(),
        })
    }

    /// Appends these records and waits until the broker has them.
    pub(crate) fn lay(&mut self, sequences: Range<u64>) -> Result<(), FeedError> {
        for sequence in sequences {
            if sequence.is_multiple_of(LOOK) {
                interrupt::check().map_err(TopicError::from)?;
            }
            self.send(sequence)?;
        }
        self.producer
            .flush(FLUSH)
            .map_err(topics::client("flush the layer"))?;
        match self.refused.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(FeedError::Undelivered { failed }),
        }
    }

    fn send(&mut self, sequence: u64) -> Result<(), FeedError> {
        let record = self
            .payload
            .record(self.seed, sequence, self.largest, &mut self.value);
        let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
        let mut asked = BaseRecord::to(&self.topic)
            .partition(partition)
            .key(&record.key)
            .payload(record.value);
        loop {
            match self.producer.send(asked) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    asked = back;
                    thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => return Err(topics::client("append a record")(error).into()),
            }
        }
    }
}
