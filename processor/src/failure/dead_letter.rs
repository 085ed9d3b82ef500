//! A dead letter: the record as it was, and where it came from.
//! Layer: core
//!
//! Key, value and headers are kept byte for byte; what we add starts with `penstock-dead-`, so that
//! a replay restores the record by leaving those headers out, and keeps its origin.

use std::borrow::Cow;

use crate::{
    event::Event,
    failure::Failure,
    publish::{Header, Message, text},
    stage::StageError,
};

/// Start of the names of the headers added here.
pub const PREFIX: &str = "penstock-dead-";

/// Longest reason in a header, bytes.
const MAX_REASON_BYTES: usize = 1024;

/// How much of the record a letter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Whole,
    /// Only its place: key and value are null, the record's own headers are left out. For records
    /// that the dead-letter topic refuses for their size.
    Reference,
}

/// Writes the letter of a record whose stage failed after so many attempts.
#[must_use]
pub fn letter<'a>(
    topic: &'a str,
    event: &'a Event,
    failure: &'a Failure,
    attempts: u32,
    content: Content,
) -> Message<'a> {
    let record = event.record();
    let mut headers = added(event, failure, attempts);
    let (key, value) = match content {
        Content::Whole => {
            let own = record
                .headers()
                .filter(|(name, _)| !name.starts_with(PREFIX));
            headers.extend(own.map(|(name, value)| (name.into(), value.map(Cow::Borrowed))));
            (
                record.key().map(Cow::Borrowed),
                record.value().map(Cow::Borrowed),
            )
        }
        Content::Reference => {
            headers.push(("penstock-dead-reference".into(), text("true")));
            (None, None)
        }
    };
    Message {
        topic,
        key,
        value,
        headers,
    }
}

fn added<'a>(event: &'a Event, failure: &'a Failure, attempts: u32) -> Vec<Header<'a>> {
    let provenance = event.provenance();
    let topic = Some(Cow::Borrowed(provenance.topic.as_bytes()));
    vec![
        (
            "penstock-dead-generation".into(),
            text(provenance.generation),
        ),
        ("penstock-dead-topic".into(), topic),
        (
            "penstock-dead-partition".into(),
            text(provenance.position.partition.partition),
        ),
        (
            "penstock-dead-offset".into(),
            text(provenance.position.offset),
        ),
        (
            "penstock-dead-timestamp".into(),
            text(event.record().timestamp_ms()),
        ),
        (
            "penstock-dead-stage".into(),
            Some(Cow::Borrowed(failure.stage.as_bytes())),
        ),
        ("penstock-dead-class".into(), text(class(&failure.error))),
        (
            "penstock-dead-reason".into(),
            text(cut(&failure.error.to_string())),
        ),
        ("penstock-dead-attempts".into(), text(attempts)),
    ]
}

/// One word for metrics and headers.
#[must_use]
pub fn class(error: &StageError) -> &'static str {
    match error {
        StageError::Record { .. } => "record",
        StageError::Rejected { .. } => "rejected",
        StageError::TooComplex { .. } => "too-complex",
        StageError::Sink { .. } => "sink",
    }
}

fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}
