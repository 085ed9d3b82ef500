//! What is asked of a producer, by `produce` stages and for dead letters.
//! Layer: core

use std::borrow::Cow;

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;

use crate::sinks::{Provenance, SinkError};

/// The name under which a producer's outages are reported and parked behind. No sink of an object
/// can have it: names of sinks are lower-case.
pub const PRODUCER: &str = "Kafka";

/// Start of every header name that is ours.
pub const HEADER_PREFIX: &str = "penstock-";

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// `None` is Kafka's null key.
    pub key: Option<Cow<'a, [u8]>>,
    /// `None` is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// In log order; a header's value may be null.
    pub headers: Vec<Header<'a>>,
}

/// Name and value of a header.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// Writes records to topics of the pipeline's brokers.
pub trait Publisher: Send + Sync {
    /// Resolves once all in-sync replicas have acknowledged the record. A full local queue is a
    /// wait; a record that the broker or the client refuses for its size or content is
    /// [`SinkError::Record`], all else [`SinkError::Unavailable`].
    fn produce<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Result<(), SinkError>>;

    /// How much of its queue is taken, in thousandths; 0 of one that has no queue in bytes.
    fn taken_permille(&self) -> u64 {
        0
    }

    /// The memory plan has changed; what is on its way stays. Called inside a runtime.
    fn resize(&self, sizes: &SinkPlan) {
        let _ = sizes;
    }
}

/// The headers by which a consumer recognises a repeat: compare generation, then offset, for each
/// topic and partition.
#[must_use]
pub fn provenance_headers(provenance: &Provenance) -> Vec<Header<'_>> {
    let position = provenance.position;
    vec![
        ("penstock-generation".into(), text(provenance.generation)),
        (
            "penstock-topic".into(),
            Some(Cow::Borrowed(provenance.topic.as_bytes())),
        ),
        (
            "penstock-partition".into(),
            text(position.partition.partition),
        ),
        ("penstock-offset".into(), text(position.offset)),
    ]
}

/// A header value in decimal or words.
pub(crate) fn text(value: impl ToString) -> Option<Cow<'static, [u8]>> {
    Some(Cow::Owned(value.to_string().into_bytes()))
}
