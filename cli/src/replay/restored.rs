//! What becomes of one letter: its record again, or the reason why not.
//! Layer: shell

use std::{error::Error, time::Duration};

use penstock_crds::pipeline::Source;
use penstock_processor::failure::replay::{Letter, Restored, restore};
use rdkafka::{
    Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// What becomes of a letter.
pub(super) enum Judged<'l> {
    /// It is written again.
    Record(Restored<'l>),
    /// It stays where it is.
    Skipped(String),
}

/// Judges a letter. Letters of other pipelines that share the topic stay.
pub(super) fn judge<'l>(letter: &'l OwnedMessage, source: &Source) -> Judged<'l> {
    let headers = letter.headers();
    let headers = headers.map(|all| all.iter().map(|own| (own.key, own.value)).collect());
    let read = Letter {
        key: letter.key(),
        value: letter.payload(),
        headers: headers.unwrap_or_default(),
    };
    match restore(&read) {
        Ok(record) if source.topics.iter().all(|own| own.as_str() != record.topic) => {
            Judged::Skipped(format!(
                "is of topic {}, which the pipeline does not read",
                record.topic
            ))
        }
        Ok(record) => Judged::Record(record),
        Err(no_record) => Judged::Skipped(no_record.to_string()),
    }
}

/// Hands a record to the producer, waiting for room in its queue.
pub(super) fn send(
    producer: &BaseProducer,
    record: &Restored<'_>,
    patience: Duration,
) -> Result<(), Box<dyn Error>> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record.headers.iter().fold(headers, |all, (key, value)| {
        let value = value.as_deref();
        all.insert(Header { key, value })
    });
    let mut message = BaseRecord::<[u8], [u8]>::to(record.topic)
        .partition(record.partition)
        .headers(headers);
    message.key = record.key;
    message.payload = record.value;
    message.timestamp = (record.timestamp_ms >= 0).then_some(record.timestamp_ms);
    while let Err((error, again)) = producer.send(message) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        producer.flush(patience)?;
        message = again;
    }
    Ok(())
}
