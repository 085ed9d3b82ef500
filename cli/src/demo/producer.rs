//! Produces the records of a workload, no further ahead of the commits than the broker keeps.
//! Layer: shell

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use super::{
    generator::{Draft, Generator, Kind},
    log::Log,
    pacing::{Admission, Pacing, RECORD_OVERHEAD},
    payload,
    shared::Shared,
    storefront::{self, Storefront},
};

/// Why production ended early.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The client refused.
    #[error("failed to produce to {topic}: {source}")]
    Client {
        /// The topic.
        topic: String,
        /// What the client said.
        source: KafkaError,
    },
}

/// What to produce, where, and how far ahead.
pub struct Production {
    /// Bootstrap servers.
    pub bootstrap_servers: String,
    /// Source topic of the pipeline.
    pub topic: String,
    /// Where the events come from.
    pub storefront: Arc<Storefront>,
    /// `None`: as quickly as the broker takes it.
    pub pacing: Option<Pacing>,
}

/// Records that the offset of each is checked against; runs in the thread that polls.
struct Deliveries(Arc<Shared>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// The offset that the log expects.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, expected: usize) {
        match result {
            Ok(message) if usize::try_from(message.offset()) == Ok(expected) => {
                self.0
                    .acknowledge(message.partition(), message.offset() + 1);
            }
            Ok(message) => self.0.fail(format!(
                "partition {} gave offset {} to the record of offset {expected}",
                message.partition(),
                message.offset()
            )),
            Err((error, message)) => self.0.fail(format!(
                "partition {} refused a record: {error}",
                message.partition()
            )),
        }
    }
}

/// Waits before the next look at commits or at the client's queue.
const WAIT: Duration = Duration::from_millis(10);

/// Records between two looks at the delivery reports.
const POLL_EVERY: usize = 256;

/// Produces all records, waits for their acknowledgement, and returns the log of them.
/// Ends early, with what was produced until then, when the run is stopping.
///
/// # Errors
/// When the client refuses a record for another reason than a full queue.
pub fn produce(production: Production, shared: &Arc<Shared>) -> Result<Log, ProduceError> {
    let topic = production.topic.clone();
    let refuse = |source| ProduceError::Client {
        topic: topic.clone(),
        source,
    };
    let producer = client(&production.bootstrap_servers, shared).map_err(refuse)?;
    let partitions = production.storefront.workload().partitions;
    let generator = Generator::new(Arc::clone(&production.storefront));
    let mut run = Run {
        production,
        producer,
        shared,
        log: Log::new(partitions),
    };
    let mut value = String::new();
    for (count, draft) in generator.enumerate() {
        payload::write_value(&run.production.storefront, &draft, &mut value);
        if count.is_multiple_of(POLL_EVERY) {
            run.producer.poll(Duration::ZERO);
        }
        if !run.wait_for_room(&draft, &value) {
            break;
        }
        run.send(&draft, &value).map_err(refuse)?;
    }
    run.flush();
    Ok(run.log)
}

struct Run<'a> {
    production: Production,
    producer: BaseProducer<Deliveries>,
    shared: &'a Arc<Shared>,
    log: Log,
}

impl Run<'_> {
    /// Waits for commits where they must come first; false when the run is stopping.
    fn wait_for_room(&mut self, draft: &Draft, value: &str) -> bool {
        let partition = self.production.storefront.partition(draft.key);
        let size = value.len() as u64 + RECORD_OVERHEAD;
        let Some(pacing) = &mut self.production.pacing else {
            return !self.shared.is_stopping();
        };
        while pacing.admission(partition, size) == Admission::AfterCommit {
            if self.shared.is_stopping() {
                return false;
            }
            for (partition, offset) in (0..).zip(self.shared.committed()) {
                pacing.committed(partition, offset);
            }
            if pacing.admission(partition, size) == Admission::AfterCommit {
                self.producer.poll(WAIT);
            }
        }
        pacing.produced(partition, size);
        !self.shared.is_stopping()
    }

    /// Hands one record to the client, waiting while its queue is full.
    fn send(&mut self, draft: &Draft, value: &str) -> Result<(), KafkaError> {
        let storefront = &self.production.storefront;
        let partition = storefront.partition(draft.key);
        let offset = self.log.append(partition, *draft);
        let expected = usize::try_from(offset).expect("offsets of the log are not negative");
        let key = storefront::key_name(draft.key);
        let mut record = BaseRecord::with_opaque_to(&self.production.topic, expected)
            .partition(i32::try_from(partition).expect("partitions were created as i32"))
            .timestamp(storefront.attributes(draft.number).timestamp_ms)
            .payload(value.as_bytes());
        if draft.kind != Kind::NullKey {
            record = record.key(key.as_bytes());
        }
        if draft.number.is_multiple_of(8) {
            record = record.headers(headers(draft));
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) if is_full(&error) && !self.shared.is_stopping() => {
                    self.producer.poll(WAIT);
                    record = back;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Waits until the broker has everything, or the run is stopping.
    fn flush(&self) {
        while self.producer.in_flight_count() > 0 && !self.shared.is_stopping() {
            self.producer.poll(WAIT);
        }
    }
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

fn headers(draft: &Draft) -> OwnedHeaders {
    let trace = draft.number.to_string();
    OwnedHeaders::new()
        .insert(Header {
            key: "trace",
            value: Some(&trace),
        })
        .insert(Header {
            key: "empty",
            value: Some(""),
        })
        .insert(Header::<&str> {
            key: "null",
            value: None,
        })
}

/// Idempotent: the broker keeps the order and takes no record twice, so offsets are foreseeable.
/// Batches stay below 1 MiB, which the pipeline's `source.facts` promise.
fn client(
    bootstrap_servers: &str,
    shared: &Arc<Shared>,
) -> Result<BaseProducer<Deliveries>, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("batch.size", "262144")
        .set("message.max.bytes", "1048576")
        .set("compression.type", "none")
        .set("queue.buffering.max.kbytes", "32768")
        .set("message.timeout.ms", "120000")
        .create_with_context(Deliveries(Arc::clone(shared)))
}

#[cfg(test)]
mod tests;
