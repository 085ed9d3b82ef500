//! What an expression came to, before it is known whether that is legal where it stands.
//! Layer: core

use cel::objects::Value as Cel;
use penstock_crds::expression::{Path, RecordField};
use serde_json::{Map, Value};

use crate::{
    event::{
        Event,
        json::{Json, JsonKind},
    },
    record::Record,
};

/// A result, borrowed from the event where it can be.
pub(super) enum Found<'a> {
    /// A path that leads nowhere; not the same as null.
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// Bytes of the record that should be text, and may not be.
    Bytes(&'a [u8]),
    Headers(&'a Record),
    Body(Json<'a>),
    Context(&'a Value),
    WholeContext(&'a Map<String, Value>),
    Cel(Cel),
}

/// A result by kind; only scalars carry what they hold.
pub(super) enum Scalar<'a> {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float,
    Text(&'a str),
    NotUtf8(&'a [u8]),
    Array,
    Object,
    /// A kind that only CEL has.
    Cel(String),
}

impl Scalar<'_> {
    /// The kind for a message: never the payload.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Missing => "nothing, the field is missing".into(),
            Self::Null => "null".into(),
            Self::Bool(_) => "a boolean".into(),
            Self::Int(_) => "an integer".into(),
            Self::Unsigned(_) => "an integer above 9223372036854775807".into(),
            Self::Float => "a number with fraction or exponent".into(),
            Self::Text("") => "an empty string".into(),
            Self::Text(text) => format!("a string of {} bytes", text.len()),
            Self::NotUtf8(bytes) => format!("{} bytes that are not UTF-8", bytes.len()),
            Self::Array => "an array".into(),
            Self::Object => "an object".into(),
            Self::Cel(kind) => format!("a {kind}"),
        }
    }
}

impl Found<'_> {
    pub(super) fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Missing => Scalar::Missing,
            Self::Null => Scalar::Null,
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Int(value) => Scalar::Int(*value),
            Self::Text(text) => Scalar::Text(text),
            Self::Bytes(bytes) => {
                std::str::from_utf8(bytes).map_or(Scalar::NotUtf8(bytes), Scalar::Text)
            }
            Self::Headers(_) | Self::WholeContext(_) => Scalar::Object,
            Self::Body(json) => of_body(json),
            Self::Context(value) => of_context(value),
            Self::Cel(value) => of_cel(value),
        }
    }

    /// The value in JSON, or the kind that has no form there.
    pub(super) fn to_json(&self) -> Result<Value, Scalar<'_>> {
        match self {
            Self::Headers(record) => Ok(Value::Object(headers(record))),
            Self::WholeContext(values) => Ok(Value::Object((*values).clone())),
            Self::Body(json) => Ok(json.to_value()),
            Self::Context(value) => Ok((*value).clone()),
            Self::Cel(value) => value.json().map_err(|_| of_cel(value)),
            _ => match self.scalar() {
                Scalar::Null => Ok(Value::Null),
                Scalar::Bool(value) => Ok(value.into()),
                Scalar::Int(value) => Ok(value.into()),
                Scalar::Text(text) => Ok(text.into()),
                other => Err(other),
            },
        }
    }
}

/// Follows a plain path; the body is there when the path starts at it.
pub(super) fn look_up<'e>(path: &'e Path, event: &'e Event, body: Option<Json<'e>>) -> Found<'e> {
    match path {
        Path::Event(names) => body
            .and_then(|body| body.path(names))
            .map_or(Found::Missing, Found::Body),
        Path::Context(names) => in_context(names, event.context()),
        Path::Record(field) => in_record(field, event),
    }
}

fn in_context<'e>(names: &[Box<str>], context: &'e Map<String, Value>) -> Found<'e> {
    let Some((first, rest)) = names.split_first() else {
        return Found::WholeContext(context);
    };
    rest.iter()
        .try_fold(context.get(&**first), |value, name| {
            Some(value?.as_object()?.get(&**name))
        })
        .flatten()
        .map_or(Found::Missing, Found::Context)
}

fn in_record<'e>(field: &RecordField, event: &'e Event) -> Found<'e> {
    let (record, provenance) = (event.record(), event.provenance());
    match field {
        RecordField::Key => record.key().map_or(Found::Null, Found::Bytes),
        RecordField::Topic => Found::Text(&provenance.topic),
        RecordField::Partition => Found::Int(provenance.position.partition.partition.into()),
        RecordField::Offset => Found::Int(provenance.position.offset),
        RecordField::Timestamp => Found::Int(record.timestamp_ms()),
        RecordField::Headers => Found::Headers(record),
        RecordField::Header(name) => match record.headers().find(|(n, _)| *n == &**name) {
            Some((_, Some(value))) => Found::Bytes(value),
            Some((_, None)) => Found::Null,
            None => Found::Missing,
        },
    }
}

/// Headers as an object: of doubled names the first; null for a value that is null or not UTF-8.
fn headers(record: &Record) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in record.headers() {
        let text = value.and_then(|bytes| std::str::from_utf8(bytes).ok());
        object
            .entry(name)
            .or_insert_with(|| text.map_or(Value::Null, Value::from));
    }
    object
}

fn of_body<'a>(json: &Json<'a>) -> Scalar<'a> {
    match json.kind() {
        JsonKind::Null => Scalar::Null,
        JsonKind::Bool(value) => Scalar::Bool(value),
        JsonKind::Int(value) => Scalar::Int(value),
        JsonKind::Unsigned(value) => Scalar::Unsigned(value),
        JsonKind::Float(_) => Scalar::Float,
        JsonKind::Text(text) => Scalar::Text(text),
        JsonKind::Array(_) => Scalar::Array,
        JsonKind::Object(_) => Scalar::Object,
    }
}

fn of_context(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Number(number) => number
            .as_i64()
            .map(Scalar::Int)
            .or_else(|| number.as_u64().map(Scalar::Unsigned))
            .unwrap_or(Scalar::Float),
        Value::String(text) => Scalar::Text(text),
        Value::Array(_) => Scalar::Array,
        Value::Object(_) => Scalar::Object,
    }
}

fn of_cel(value: &Cel) -> Scalar<'_> {
    match value {
        Cel::Null => Scalar::Null,
        Cel::Bool(value) => Scalar::Bool(*value),
        Cel::Int(value) => Scalar::Int(*value),
        Cel::UInt(value) => i64::try_from(*value).map_or(Scalar::Unsigned(*value), Scalar::Int),
        Cel::Float(_) => Scalar::Float,
        Cel::String(text) => Scalar::Text(text),
        Cel::List(_) => Scalar::Array,
        Cel::Map(_) => Scalar::Object,
        other => Scalar::Cel(other.type_of().to_string()),
    }
}
