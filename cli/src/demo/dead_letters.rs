//! Collects the dead-letter topic while the run goes on, and to its end when it is over.
//! Layer: shell

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
};

use super::{
    broker,
    shared::{Shared, TICK},
};

/// Header that names the partition of the record behind a dead letter, as decimal text.
pub const PARTITION_HEADER: &str = "penstock-dead-partition";
/// Header that names its offset, as decimal text.
pub const OFFSET_HEADER: &str = "penstock-dead-offset";

/// Why the dead letters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The client refused.
    #[error("failed to read the dead letters: {0}")]
    Client(#[from] KafkaError),
    /// A dead letter does not say where it comes from.
    #[error("dead letter at offset {offset} lacks header {PARTITION_HEADER} or {OFFSET_HEADER}")]
    NoOrigin {
        /// Offset within the dead-letter topic.
        offset: i64,
    },
    /// The end of the topic was not reached.
    #[error("the dead letters did not come within {0:?}")]
    Late(Duration),
}

/// Partition and offset in the source topic, by dead letter; repeats included.
pub type Origins = Vec<(i32, i64)>;

const PATIENCE: Duration = Duration::from_secs(30);

/// Reads partition 0 of `topic` until the run is stopping, and from then on to its end.
///
/// # Errors
/// When the client refuses, a dead letter has no origin, or the end is not reached in time.
pub fn collect(
    bootstrap_servers: &str,
    topic: &str,
    shared: &Shared,
) -> Result<Origins, DeadLetterError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", format!("{topic}-count"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", "8192")
        .create()?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Offset(0))?;
    consumer.assign(&from)?;
    let mut origins = Origins::new();
    while !shared.is_stopping() {
        take(&consumer, &mut origins)?;
    }
    // every dead letter was acknowledged before its record was committed, so the end is final now
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    while i64::try_from(origins.len()).is_ok_and(|read| read < end) {
        if Instant::now() > deadline {
            return Err(DeadLetterError::Late(PATIENCE));
        }
        take(&consumer, &mut origins)?;
    }
    Ok(origins)
}

fn take(consumer: &BaseConsumer, origins: &mut Origins) -> Result<(), DeadLetterError> {
    match consumer.poll(TICK) {
        None => Ok(()),
        Some(Ok(message)) => {
            let no_origin = DeadLetterError::NoOrigin {
                offset: message.offset(),
            };
            origins.push(origin(&message).ok_or(no_origin)?);
            Ok(())
        }
        Some(Err(error)) if passes(&error) => Ok(()),
        Some(Err(error)) => Err(error.into()),
    }
}

fn passes(error: &KafkaError) -> bool {
    broker::is_transient(error)
        || error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF)
}

fn origin(message: &BorrowedMessage<'_>) -> Option<(i32, i64)> {
    let headers = message.headers()?;
    let text = |name| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    };
    Some((
        text(PARTITION_HEADER)?.parse().ok()?,
        text(OFFSET_HEADER)?.parse().ok()?,
    ))
}
