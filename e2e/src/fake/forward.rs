//! The stand-in's `produce` stage: every record to the output topic, with its provenance.
//! Layer: shell

use std::time::Duration;

use rdkafka::{
    config::ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, Message, OwnedHeaders, OwnedMessage},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::{Fault, settings::Settings};

const FLUSH: Duration = Duration::from_secs(120);

/// A producer, and where it writes to.
pub(super) struct Forward {
    producer: ThreadedProducer<DefaultProducerContext>,
    output: String,
    dead: String,
    generation: u64,
    fault: Fault,
}

impl Forward {
    /// A producer that keeps order.
    pub(super) fn new(settings: &Settings, topic: &str, fault: Fault) -> Result<Self, KafkaError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", settings.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create()?;
        let (output, dead) = (topic.to_owned(), settings.dead_letters().to_owned());
        Ok(Self {
            producer,
            output,
            dead,
            generation: settings.generation(),
            fault,
        })
    }

    /// Returns once the broker has all of it.
    pub(super) fn apply(&self, batch: &[OwnedMessage]) -> Result<(), KafkaError> {
        for message in batch {
            if !self.fault.hits(Fault::Lose, message) {
                self.send(&self.output, message)?;
            }
            if self.fault.hits(Fault::Repeat, message) {
                self.send(&self.output, message)?;
            }
            if self.fault.hits(Fault::DeadLetter, message) {
                self.send(&self.dead, message)?;
            }
        }
        self.producer.flush(FLUSH)
    }

    fn send(&self, topic: &str, message: &OwnedMessage) -> Result<(), KafkaError> {
        let numbers = [
            ("penstock-generation", self.generation.to_string()),
            ("penstock-partition", message.partition().to_string()),
            ("penstock-offset", message.offset().to_string()),
        ];
        let start = OwnedHeaders::new();
        let start = start.insert(Header {
            key: "penstock-topic",
            value: Some(message.topic()),
        });
        let headers = numbers.iter().fold(start, |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
        let mut record = BaseRecord::to(topic).headers(headers);
        record.key = message.key();
        record.payload = message.payload();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}
