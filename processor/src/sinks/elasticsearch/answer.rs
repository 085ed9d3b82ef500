//! Answers of the cluster as far as they are read; everything else is filtered out on its side.
//! Layer: core

use serde::Deserialize;
use serde_json::Value;

use super::bulk::unavailable;
use crate::sinks::{
    Provenance, SinkError,
    flush_target::Counters,
    grouped::{Refusal, Written},
    origin::{FIELD, Origin},
};

/// A status and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct BulkAnswer {
    #[serde(default)]
    items: Vec<ItemAnswer>,
}

/// What is said about one item.
#[derive(Debug, Deserialize)]
pub(super) struct ItemAnswer {
    #[serde(alias = "create", alias = "index")]
    pub(super) outcome: ItemOutcome,
}

#[derive(Debug, Deserialize)]
pub(super) struct ItemOutcome {
    pub(super) status: u16,
    pub(super) error: Option<Fault>,
}

/// An error as the cluster tells it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fault {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// May quote the document.
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) index: Option<String>,
}

/// Longest quoted name, bytes.
const LONGEST_NAME: usize = 200;

impl Fault {
    /// The kind, and the field if one is named; the rest of the reason may hold payload.
    pub(super) fn told(&self) -> String {
        let kind = match self.kind.as_str() {
            "" => "no reason given",
            kind => kind,
        };
        let field = self.reason.split_once("field [");
        match field.and_then(|(_, rest)| rest.split_once(']')) {
            Some((name, _)) if is_name(name) => format!("{kind} on field {name}"),
            _ => kind.to_owned(),
        }
    }
}

fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= LONGEST_NAME && text.bytes().all(legal)
}

/// The items of a bulk answer, or what came of the request as a whole.
pub(super) fn items(answer: &Answer, expected: usize) -> Result<Vec<ItemAnswer>, Whole> {
    if answer.status != 200 {
        return Err(whole(answer));
    }
    let parsed: BulkAnswer =
        serde_json::from_slice(&answer.body).map_err(|error| Whole::Failed(garbled(&error)))?;
    if parsed.items.len() != expected {
        let found = parsed.items.len();
        let reason = format!("answer about {found} items to a request of {expected}");
        return Err(Whole::Failed(unavailable(&reason)));
    }
    Ok(parsed.items)
}

/// What came of a request that was not taken apart into items.
#[derive(Debug)]
pub(super) enum Whole {
    /// Not now.
    Busy,
    /// Something in it spoils all of it.
    Refused(Refusal),
    /// The cluster, or what stands in front of it.
    Failed(SinkError),
}

impl Whole {
    /// The same for all effects of a group.
    pub(super) fn written(self, effects: usize) -> Written {
        use crate::sinks::grouped::Verdict;
        match self {
            Self::Busy => {
                let busy = || Verdict::Again("status 429: too many requests");
                Written::Each(std::iter::repeat_with(busy).take(effects).collect())
            }
            Self::Refused(refusal) => Written::Refused(refusal),
            Self::Failed(error) => Written::unavailable(effects, &error.into_reason()),
        }
    }

    /// The same as an error.
    pub(super) fn error(self) -> SinkError {
        match self {
            Self::Busy => unavailable("status 429: too many requests"),
            Self::Refused(refusal) => refusal.into(),
            Self::Failed(error) => error,
        }
    }
}

/// Only the cluster itself tells the kind of a fault; a proxy that answers 400 to everything must
/// not turn an outage into bad records.
pub(super) fn whole(answer: &Answer) -> Whole {
    let fault = fault(&answer.body);
    match answer.status {
        413 => Whole::Refused(Refusal::TooLarge),
        429 => Whole::Busy,
        400 if !fault.kind.is_empty() => Whole::Refused(Refusal::Content(fault.told())),
        status => Whole::Failed(unavailable(&format!("status {status}: {}", fault.told()))),
    }
}

fn fault(body: &[u8]) -> Fault {
    #[derive(Deserialize)]
    struct Told {
        error: Fault,
    }
    let told = serde_json::from_slice::<Told>(body);
    told.map_or_else(|_| Fault::default(), |told| told.error)
}

#[derive(Debug, Deserialize)]
struct LookupAnswer {
    #[serde(default)]
    docs: Vec<Found>,
}

/// What a lookup found of one document.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Value>,
    error: Option<Fault>,
}

/// The documents of a lookup, in the order asked.
pub(super) fn found(answer: &Answer, expected: usize) -> Result<Vec<Found>, SinkError> {
    if answer.status != 200 {
        return Err(whole(answer).error());
    }
    let parsed: LookupAnswer =
        serde_json::from_slice(&answer.body).map_err(|error| garbled(&error))?;
    if parsed.docs.len() != expected {
        let found = parsed.docs.len();
        let reason = format!("answer about {found} documents to a lookup of {expected}");
        return Err(unavailable(&reason));
    }
    Ok(parsed.docs)
}

/// Who created the document that stood in the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Creator {
    /// The record itself, when it was delivered before.
    Same,
    /// Another record, or somebody who is not us.
    Other,
    /// It is gone by now.
    Nobody,
}

impl Found {
    /// Whether that record created it.
    pub(super) fn creator(&self, provenance: &Provenance) -> Result<Creator, SinkError> {
        if let Some(fault) = &self.error {
            return Err(unavailable(&format!("looking up an id: {}", fault.told())));
        }
        if !self.found {
            return Ok(Creator::Nobody);
        }
        let origin = self.source.as_ref().and_then(|source| source.get(FIELD));
        let origin = origin.and_then(|origin| Origin::deserialize(origin).ok());
        Ok(match origin {
            Some(origin) if origin.is(provenance) => Creator::Same,
            Some(_) | None => Creator::Other,
        })
    }

    /// The counters in it; what is no integer is none of them.
    pub(super) fn counters(self) -> Result<Option<Counters>, SinkError> {
        match self.error {
            Some(fault) if fault.kind == "index_not_found_exception" => return Ok(None),
            Some(fault) => {
                let reason = format!("reading counters: {}", fault.told());
                return Err(unavailable(&reason));
            }
            None => {}
        }
        if !self.found {
            return Ok(None);
        }
        let mut fields = Vec::new();
        if let Some(Value::Object(source)) = self.source {
            flatten(&mut fields, String::new(), source);
        }
        let version = self.version.unwrap_or(0);
        Ok(Some(Counters { fields, version }))
    }
}

fn flatten(
    fields: &mut Vec<(std::sync::Arc<str>, i64)>,
    prefix: String,
    object: serde_json::Map<String, Value>,
) {
    for (name, value) in object {
        let name = match prefix.as_str() {
            "" => name,
            prefix => format!("{prefix}.{name}"),
        };
        match value {
            Value::Object(inner) => flatten(fields, name, inner),
            Value::Number(number) => fields.extend(number.as_i64().map(|n| (name.into(), n))),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
}

fn garbled(error: &serde_json::Error) -> SinkError {
    let (line, column) = (error.line(), error.column());
    unavailable(&format!(
        "answer is not what was asked for, at {line}:{column}"
    ))
}

#[cfg(test)]
mod tests;
