//! What is produced: provenance as headers, and dead letters with the story of their failure.
//! Layer: core

use std::borrow::Cow;

use crate::{record::Record, sinks::Provenance};

/// Header with the `source.generation` of the origin.
pub const GENERATION: &str = "penstock-generation";
/// Header with the topic of the origin.
pub const TOPIC: &str = "penstock-topic";
/// Header with the partition of the origin.
pub const PARTITION: &str = "penstock-partition";
/// Header with the offset of the origin.
pub const OFFSET: &str = "penstock-offset";
/// Header of a dead letter: the stage that failed.
pub const STAGE: &str = "penstock-stage";
/// Header of a dead letter: why, without payload.
pub const REASON: &str = "penstock-reason";
/// Header of a dead letter: how often the record was tried.
pub const ATTEMPTS: &str = "penstock-attempts";
/// Header of a dead letter: when, milliseconds since the epoch.
pub const FAILED_AT: &str = "penstock-failed-at";
/// Header of a dead letter by reference: length of the key it stands for, or `null`.
pub const KEY_BYTES: &str = "penstock-key-bytes";
/// Header of a dead letter by reference: length of the value it stands for, or `null`.
pub const VALUE_BYTES: &str = "penstock-value-bytes";
/// Header of a dead letter by reference: number of headers it stands for.
pub const HEADER_COUNT: &str = "penstock-header-count";

/// All headers of ours begin so; a record read again loses its old ones.
const PREFIX: &str = "penstock-";

/// Longest reason in a header, bytes.
const REASON_BYTES: usize = 1024;

/// Longest key that a dead letter by reference still carries, bytes.
const KEPT_KEY_BYTES: usize = 4096;

/// What a record batch of one adds to key, value and headers, bytes: 61 of the batch, at most 36 of
/// the record, at most 10 per header for 50 headers, rounded up.
const FRAMING_BYTES: usize = 1024;

/// A header with the parts it borrows or has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'m> {
    /// Name.
    pub name: Cow<'m, str>,
    /// Value; `None` is null.
    pub value: Option<Cow<'m, [u8]>>,
}

/// A record to produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'m> {
    /// Where to.
    pub topic: &'m str,
    /// Key; `None` is Kafka's null key.
    pub key: Option<&'m [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'m [u8]>,
    /// Headers in order.
    pub headers: Vec<Header<'m>>,
}

/// How a record failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<'m> {
    /// Origin of the record.
    pub provenance: &'m Provenance,
    /// The stage that failed; `None` before the first stage.
    pub stage: Option<&'m str>,
    /// Why, without payload.
    pub reason: &'m str,
    /// How often it was tried.
    pub attempts: u32,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

impl<'m> Header<'m> {
    /// A header with a value made for it.
    pub fn text(name: &'m str, value: impl ToString) -> Self {
        let value = Some(Cow::Owned(value.to_string().into_bytes()));
        Self {
            name: Cow::Borrowed(name),
            value,
        }
    }
}

impl Message<'_> {
    /// Bytes as the client's `message.max.bytes` and the broker count them, rounded up.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let header = |h: &Header<'_>| 10 + h.name.len() + h.value.as_ref().map_or(0, |v| v.len());
        FRAMING_BYTES
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self.headers.iter().map(header).sum::<usize>()
    }
}

/// The headers that make a produced record recognisable as the effect of another.
#[must_use]
pub fn provenance_headers(provenance: &Provenance) -> [Header<'static>; 4] {
    let position = provenance.position;
    [
        Header::text(GENERATION, provenance.generation),
        Header::text(TOPIC, &provenance.topic),
        Header::text(PARTITION, position.partition.partition),
        Header::text(OFFSET, position.offset),
    ]
}

/// The record as it was read, with the story of its failure as headers. Headers of ours that it
/// brought from an earlier life are replaced.
#[must_use]
pub fn dead_letter<'m>(topic: &'m str, record: &'m Record, failure: &Failure<'m>) -> Message<'m> {
    let own = record
        .headers()
        .filter(|(name, _)| !name.starts_with(PREFIX))
        .map(|(name, value)| Header {
            name: Cow::Borrowed(name),
            value: value.map(Cow::Borrowed),
        });
    let headers = own.chain(story(failure)).collect();
    Message {
        topic,
        key: record.key(),
        value: record.value(),
        headers,
    }
}

/// A dead letter for a record that is too large to be copied: where it lies and how large it is.
/// The key is kept when it is short, so that dead letters of one key stay together.
#[must_use]
pub fn dead_letter_by_reference<'m>(
    topic: &'m str,
    record: &'m Record,
    failure: &Failure<'m>,
) -> Message<'m> {
    let bytes = |part: Option<&[u8]>| part.map_or("null".to_owned(), |p| p.len().to_string());
    let sizes = [
        Header::text(KEY_BYTES, bytes(record.key())),
        Header::text(VALUE_BYTES, bytes(record.value())),
        Header::text(HEADER_COUNT, record.headers().count()),
    ];
    let key = record.key().filter(|key| key.len() <= KEPT_KEY_BYTES);
    Message {
        topic,
        key,
        value: None,
        headers: story(failure).chain(sizes).collect(),
    }
}

fn story<'m>(failure: &Failure<'m>) -> impl Iterator<Item = Header<'m>> + use<'m> {
    let reason = &failure.reason[..failure.reason.floor_char_boundary(REASON_BYTES)];
    let facts = [
        Header::text(REASON, reason),
        Header::text(ATTEMPTS, failure.attempts),
        Header::text(FAILED_AT, failure.at_ms),
    ];
    let stage = failure.stage.map(|stage| Header::text(STAGE, stage));
    provenance_headers(failure.provenance)
        .into_iter()
        .chain(stage)
        .chain(facts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{Parts, Position, TopicId, TopicPartition};

    fn position() -> Position {
        let partition = TopicPartition {
            topic: TopicId(0),
            partition: 3,
        };
        Position {
            partition,
            offset: 42,
        }
    }

    fn provenance() -> Provenance {
        Provenance {
            generation: 2,
            topic: Arc::from("orders"),
            position: position(),
            floor: 0,
        }
    }

    fn shown(message: &Message<'_>) -> Vec<String> {
        let value = |h: &Header<'_>| match &h.value {
            Some(value) => String::from_utf8_lossy(value).into_owned(),
            None => "null".to_owned(),
        };
        message
            .headers
            .iter()
            .map(|h| format!("{}={}", h.name, value(h)))
            .collect()
    }

    #[test]
    fn a_dead_letter_carries_origin_and_story() {
        let headers = [
            ("trace", Some(&b"abc"[..])),
            ("penstock-offset", Some(&b"7"[..])),
        ];
        let parts = Parts {
            key: Some(b"k"),
            value: Some(b"v"),
            headers: &headers,
            timestamp_ms: 0,
        };
        let record = Record::copy(position(), &parts);
        let provenance = provenance();
        let reason = "é".repeat(1_000);
        let failure = Failure {
            provenance: &provenance,
            stage: Some("index"),
            reason: &reason,
            attempts: 5,
            at_ms: 9,
        };
        let letter = dead_letter("dead", &record, &failure);
        assert_eq!(
            (letter.key, letter.value),
            (Some(&b"k"[..]), Some(&b"v"[..]))
        );
        let story = [
            "trace=abc".to_owned(),
            "penstock-generation=2".to_owned(),
            "penstock-topic=orders".to_owned(),
            "penstock-partition=3".to_owned(),
            "penstock-offset=42".to_owned(),
            "penstock-stage=index".to_owned(),
            format!("penstock-reason={}", "é".repeat(512)),
            "penstock-attempts=5".to_owned(),
            "penstock-failed-at=9".to_owned(),
        ];
        assert_eq!(shown(&letter), story);
        let reference = dead_letter_by_reference("dead", &record, &failure);
        assert_eq!((reference.key, reference.value), (Some(&b"k"[..]), None));
        let sizes = [
            "penstock-key-bytes=1",
            "penstock-value-bytes=1",
            "penstock-header-count=2",
        ];
        assert_eq!(shown(&reference)[8..], sizes);
    }

    #[test]
    fn a_reference_stays_small_whatever_it_refers_to() {
        let large = vec![b'x'; 2 << 20];
        let headers = [("h", Some(&large[..]))];
        let parts = Parts {
            key: Some(&large),
            value: Some(&large),
            headers: &headers,
            timestamp_ms: 0,
        };
        let record = Record::copy(position(), &parts);
        let provenance = provenance();
        let reason = "r".repeat(5_000);
        let failure = Failure {
            provenance: &provenance,
            stage: None,
            reason: &reason,
            attempts: 1,
            at_ms: 0,
        };
        let reference = dead_letter_by_reference("dead", &record, &failure);
        assert!(
            reference.encoded_bytes() < 8 << 10,
            "{} bytes",
            reference.encoded_bytes()
        );
        assert!(dead_letter("dead", &record, &failure).encoded_bytes() > 6 << 20);
    }
}
