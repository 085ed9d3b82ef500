//! From a dead letter back to the record, and the origin that a replayed record carries.
//! Layer: core
//!
//! The record gets its key, value, headers, timestamp and partition back. Headers that start with
//! `penstock-origin-` say where it stood when it was first read, so that a sink that had stored it
//! then finds the same record and no duplicate. A record that fails again keeps its first origin.

use std::{borrow::Cow, sync::Arc};

use crate::{
    failure::dead_letter,
    publish::Header,
    record::{Position, Record, TopicId, TopicPartition},
    sinks::Provenance,
};

/// Start of the names of the headers of a replayed record.
pub const PREFIX: &str = "penstock-origin-";

const GENERATION: &str = "penstock-origin-generation";
const TOPIC: &str = "penstock-origin-topic";
const PARTITION: &str = "penstock-origin-partition";
const OFFSET: &str = "penstock-origin-offset";
/// The stage that had failed: those before it were done.
const STAGE: &str = "penstock-origin-stage";

/// A dead letter as it is read.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// Its key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Its headers in log order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// A record to be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored<'a> {
    /// Topic it came from.
    pub topic: &'a str,
    /// Partition it came from: its key's other records are there.
    pub partition: i32,
    /// Milliseconds since the epoch; negative when it had none.
    pub timestamp_ms: i64,
    /// As it was.
    pub key: Option<&'a [u8]>,
    /// As it was.
    pub value: Option<&'a [u8]>,
    /// Its own, and its origin.
    pub headers: Vec<Header<'a>>,
}

/// Why a letter cannot be turned back into its record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// The letter names the record and does not hold it.
    #[error("holds no record, only its place: {topic}/{partition} at offset {offset}")]
    Reference {
        /// Topic of the record.
        topic: String,
        /// Partition of the record.
        partition: i32,
        /// Offset of the record.
        offset: i64,
    },
    /// Nothing that a processor wrote.
    #[error("is no dead letter of a processor: header {header} is missing or no legal value")]
    Foreign {
        /// The first header that is missing or wrong.
        header: &'static str,
    },
}

/// Turns a letter back into its record.
///
/// # Errors
/// When the letter does not hold one.
pub fn restore<'a>(letter: &Letter<'a>) -> Result<Restored<'a>, NoRecord> {
    let topic = letter.text("penstock-dead-topic")?;
    let partition: i32 = letter.number("penstock-dead-partition")?;
    let offset: i64 = letter.number("penstock-dead-offset")?;
    let generation: u64 = letter.number("penstock-dead-generation")?;
    if letter.find("penstock-dead-reference").is_some() {
        return Err(NoRecord::Reference {
            topic: topic.to_owned(),
            partition,
            offset,
        });
    }
    let stage = letter.text("penstock-dead-stage")?;
    let own = letter
        .headers
        .iter()
        .filter(|(name, _)| !name.starts_with(dead_letter::PREFIX) && *name != STAGE);
    let mut headers: Vec<Header<'a>> = own
        .map(|(name, value)| (Cow::Borrowed(*name), value.map(Cow::Borrowed)))
        .collect();
    if letter.find(TOPIC).is_none() {
        let owned = |number: String| Some(Cow::Owned(number.into_bytes()));
        headers.extend([
            (GENERATION.into(), owned(generation.to_string())),
            (TOPIC.into(), Some(Cow::Borrowed(topic.as_bytes()))),
            (PARTITION.into(), owned(partition.to_string())),
            (OFFSET.into(), owned(offset.to_string())),
        ]);
    }
    headers.push((STAGE.into(), Some(Cow::Borrowed(stage.as_bytes()))));
    Ok(Restored {
        topic,
        partition,
        timestamp_ms: letter.number("penstock-dead-timestamp")?,
        key: letter.key,
        value: letter.value,
        headers,
    })
}

impl<'a> Letter<'a> {
    fn find(&self, name: &str) -> Option<&'a [u8]> {
        let mut found = self.headers.iter().filter(|(header, _)| *header == name);
        found.next().and_then(|(_, value)| *value)
    }

    fn text(&self, header: &'static str) -> Result<&'a str, NoRecord> {
        let found = self.find(header).map(std::str::from_utf8);
        found
            .and_then(Result::ok)
            .ok_or(NoRecord::Foreign { header })
    }

    fn number<T: std::str::FromStr>(&self, header: &'static str) -> Result<T, NoRecord> {
        let parsed = self.text(header)?.parse();
        parsed.map_err(|_| NoRecord::Foreign { header })
    }
}

/// Where a replayed record stood when it was first read; `None` when it is no replay. Its floor is
/// unknown: what is committed of the first partition says nothing about a replay.
#[must_use]
pub fn origin(record: &Record) -> Option<Provenance> {
    let text = |name| std::str::from_utf8(record.header(name)?).ok();
    let partition = TopicPartition {
        // Not a topic of this run, perhaps; sinks go by the name.
        topic: TopicId(0),
        partition: text(PARTITION)?.parse().ok()?,
    };
    Some(Provenance {
        generation: text(GENERATION)?.parse().ok()?,
        topic: Arc::from(text(TOPIC)?),
        position: Position {
            partition,
            offset: text(OFFSET)?.parse().ok()?,
        },
        floor: -1,
    })
}

/// The stage that had failed when a replayed record was buried.
#[must_use]
pub fn failed_stage(record: &Record) -> Option<&str> {
    origin(record)?;
    std::str::from_utf8(record.header(STAGE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Event,
        failure::{Failure, dead_letter::Content},
        record::Parts,
        stage::StageError,
    };

    type Headers = Vec<(String, Option<Vec<u8>>)>;

    fn event(offset: i64, headers: &Headers) -> Event {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let partition = TopicPartition {
            topic: TopicId(0),
            partition: 3,
        };
        let position = Position { partition, offset };
        let parts = Parts {
            key: Some(b"k"),
            value: Some(b"{}"),
            headers: &headers,
            timestamp_ms: 1_795_268_700_000,
        };
        let provenance = Provenance {
            generation: 2,
            topic: Arc::from("events"),
            position,
            floor: 0,
        };
        Event::new(Arc::new(Record::copy(position, &parts)), provenance)
    }

    fn bury(event: &Event, stage: &str, content: Content) -> Headers {
        let failure = Failure {
            stage: Arc::from(stage),
            error: StageError::Record {
                reason: "no".to_owned(),
            },
        };
        let letter = dead_letter::letter("dead", event, &failure, 1, content);
        let own =
            |(name, value): &Header<'_>| (name.to_string(), value.as_ref().map(|v| v.to_vec()));
        letter.headers.iter().map(own).collect()
    }

    fn replay(headers: &Headers) -> Result<Headers, NoRecord> {
        let letter = Letter {
            key: Some(b"k"),
            value: Some(b"{}"),
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_deref()))
                .collect(),
        };
        let restored = restore(&letter)?;
        assert_eq!((restored.topic, restored.partition), ("events", 3));
        assert_eq!(restored.timestamp_ms, 1_795_268_700_000);
        assert_eq!((restored.key, restored.value), (letter.key, letter.value));
        let own =
            |(name, value): &Header<'_>| (name.to_string(), value.as_ref().map(|v| v.to_vec()));
        Ok(restored.headers.iter().map(own).collect())
    }

    #[test]
    fn a_record_keeps_its_headers_and_its_first_origin_however_often_it_fails() {
        let own: Headers = vec![
            ("trace".to_owned(), Some(b"t-1".to_vec())),
            ("empty".to_owned(), None),
        ];
        let first = event(42, &own);
        assert_eq!(
            (origin(first.record()), failed_stage(first.record())),
            (None, None)
        );
        let letter = bury(&first, "index", Content::Whole);
        let second = event(99, &replay(&letter).expect("whole"));
        let letter = bury(&second, "customer", Content::Whole);
        let third = event(120, &replay(&letter).expect("whole"));
        for (again, stage) in [(&second, "index"), (&third, "customer")] {
            let record = again.record();
            let from = origin(record).expect("a replay");
            assert_eq!(
                (from.generation, &*from.topic, from.position.offset),
                (2, "events", 42)
            );
            assert_eq!(failed_stage(record), Some(stage));
            let left: Vec<_> = record
                .headers()
                .filter(|(name, _)| !name.starts_with(PREFIX))
                .collect();
            assert_eq!(left, [("trace", Some(&b"t-1"[..])), ("empty", None)]);
            assert_eq!(record.headers().count(), 7);
        }
    }

    #[test]
    fn a_reference_and_a_foreign_record_say_what_they_are() {
        let reference = replay(&bury(&event(42, &Vec::new()), "source", Content::Reference));
        let text = reference.expect_err("no record in it").to_string();
        assert_eq!(
            text,
            "holds no record, only its place: events/3 at offset 42"
        );
        let foreign = replay(&vec![("penstock-dead-topic".to_owned(), None)]);
        assert!(
            foreign
                .expect_err("foreign")
                .to_string()
                .contains("penstock-dead-topic")
        );
    }
}
