//! The body of a bulk request, and what its answer says about each item.
//! Layer: core

use serde::Serialize;

use super::answer::{Fault, ItemAnswer};
use crate::sinks::{
    Action, Effect, SinkError,
    flush_target::{self, Row},
    origin::{FIELD, Origin},
};

/// Longest id, bytes; a longer one would have the whole request refused.
const LONGEST_ID: usize = 512;

/// Bytes of an action line and our field beside names and document, rounded up.
const FRAME: usize = 256;

/// One document to create.
#[derive(Clone, Copy, Debug)]
pub(super) struct Creation<'e> {
    pub(super) effect: &'e Effect,
    pub(super) index: &'e str,
    pub(super) id: &'e str,
    /// What follows the opening brace of the document.
    fields: &'e [u8],
}

impl<'e> Creation<'e> {
    /// Checks what would spoil the requests of others.
    pub(super) fn of(effect: &'e Effect) -> Result<Self, SinkError> {
        let Action::Create {
            index,
            id,
            document,
        } = &effect.action
        else {
            return Err(record("elasticsearch serves index stages alone"));
        };
        if id.is_empty() || id.len() > LONGEST_ID {
            let length = id.len();
            return Err(record(&format!(
                "id of {length} bytes, legal are 1 to {LONGEST_ID}"
            )));
        }
        let fields = document.trim_ascii().strip_prefix(b"{");
        Ok(Self {
            effect,
            index,
            id,
            fields: fields.ok_or_else(|| record("document is no JSON object"))?,
        })
    }

    fn length(&self) -> usize {
        let topic = self.effect.provenance.topic.len();
        FRAME + self.index.len() + self.id.len() + topic + self.fields.len()
    }
}

/// Names of one document in an action line.
#[derive(Serialize)]
struct Target<'e> {
    #[serde(rename = "_index")]
    index: &'e str,
    #[serde(rename = "_id")]
    id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_type: Option<&'static str>,
}

/// The body that creates documents, each with the record behind it in a field of ours.
pub(super) fn creations(creations: &[Creation<'_>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(creations.iter().map(Creation::length).sum());
    for creation in creations {
        body.extend_from_slice(b"{\"create\":");
        append(
            &mut body,
            &Target {
                index: creation.index,
                id: creation.id,
                version: None,
                version_type: None,
            },
        );
        body.extend_from_slice(b"}\n{\"");
        body.extend_from_slice(FIELD.as_bytes());
        body.extend_from_slice(b"\":");
        append(&mut body, &Origin::of(creation.effect));
        if creation.fields.trim_ascii_start().first() != Some(&b'}') {
            body.push(b',');
        }
        one_line(&mut body, creation.fields);
        body.push(b'\n');
    }
    body
}

/// Outside of its strings, where it may not stand, JSON may have a space for a line break.
fn one_line(body: &mut Vec<u8>, json: &[u8]) {
    let spaced = |byte: &u8| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    };
    body.extend(json.iter().map(spaced));
}

/// The body that writes counters, each unless a greater version is stored.
pub(super) fn flushes(rows: &[Row]) -> Vec<u8> {
    let mut body = Vec::with_capacity(rows.len() * FRAME);
    for row in rows {
        body.extend_from_slice(b"{\"index\":");
        append(
            &mut body,
            &Target {
                index: &row.place.collection,
                id: &row.place.id,
                version: Some(row.counters.version),
                version_type: Some("external_gte"),
            },
        );
        body.extend_from_slice(b"}\n");
        let fields = row.counters.fields.iter();
        let fields: serde_json::Map<_, _> = fields
            .map(|(field, value)| (field.to_string(), (*value).into()))
            .collect();
        append(&mut body, &fields);
        body.push(b'\n');
    }
    body
}

/// The body that asks for documents.
pub(super) fn lookups<'e>(documents: impl IntoIterator<Item = (&'e str, &'e str)>) -> Vec<u8> {
    let targets: Vec<_> = documents
        .into_iter()
        .map(|(index, id)| Target {
            index,
            id,
            version: None,
            version_type: None,
        })
        .collect();
    let mut body = b"{\"docs\":".to_vec();
    append(&mut body, &targets);
    body.push(b'}');
    body
}

fn append(body: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(body, value).expect("texts and numbers are JSON, memory takes any");
}

/// What became of one item.
#[derive(Debug)]
pub(super) enum Judged {
    /// Done.
    Written,
    /// The id exists, in this index if the answer says so; or a greater version does.
    Conflict(Option<String>),
    /// Not now.
    Busy,
    /// Failed.
    Failed(SinkError),
}

/// Who is to blame for an item. What is not known to be the record's fault is the cluster's, so
/// that no record becomes a dead letter for an outage.
pub(super) fn judge(item: ItemAnswer) -> Judged {
    let fault = item.outcome.error.unwrap_or_default();
    match item.outcome.status {
        200..=299 => Judged::Written,
        409 => Judged::Conflict(fault.index),
        // A full disk closes indexes to writes with this status, too; waiting a little is no help.
        429 if fault.kind != "cluster_block_exception" => Judged::Busy,
        400 if !is_setup(&fault) => Judged::Failed(record(&fault.told())),
        status => Judged::Failed(unavailable(&format!("status {status}: {}", fault.told()))),
    }
}

/// Faults of the cluster or its settings that come with the status of a bad request.
fn is_setup(fault: &Fault) -> bool {
    let kinds = [
        "cluster_block_exception",
        "index_closed_exception",
        "validation_exception",
    ];
    kinds.contains(&fault.kind.as_str()) || fault.reason.contains("no write index")
}

/// As [`judge`], for a row of a flush: whoever wrote a greater version knew more.
pub(super) fn judge_row(item: ItemAnswer) -> Result<flush_target::Written, SinkError> {
    match judge(item) {
        Judged::Written => Ok(flush_target::Written::Stored),
        Judged::Conflict(_) => Ok(flush_target::Written::Newer),
        Judged::Busy => Err(unavailable("status 429: too many requests")),
        Judged::Failed(error) => Err(error),
    }
}

pub(super) fn record(reason: &str) -> SinkError {
    SinkError::Record {
        reason: reason.to_owned(),
    }
}

pub(super) fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
