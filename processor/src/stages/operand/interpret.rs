//! Runs a CEL program over an event. Only what the program reads is converted to CEL's values.
//! Layer: core

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, ExecutionError, Program,
    objects::{Key, Value as Cel},
};
use serde_json::Value;

use super::{
    found::headers,
    uses::Uses,
};
use crate::event::{
    Event,
    json::{Json, JsonKind},
};

/// Functions and types, shared by all programs.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A program and what it reads.
pub(super) struct Interpreter {
    program: Arc<Program>,
    event: Uses,
    context: Uses,
    record: Uses,
}

/// Why a program has no result. The interpreter's own messages hold payload, these do not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a field is missing, guard it with has(...) in `when`")]
    MissingField,
    #[error("{0}")]
    Overload(String),
    #[error("integer overflow in {0}")]
    Overflow(&'static str),
    #[error("operator {0} does not take these kinds")]
    Operator(&'static str),
    #[error("values of different kinds cannot be compared")]
    NotComparable,
    #[error("division by zero")]
    DivisionByZero,
    #[error("index is outside the list")]
    OutOfBounds,
    #[error("function {0} failed on its arguments")]
    Function(String),
    #[error("evaluation failed")]
    Other,
}

impl Interpreter {
    pub(super) fn new(program: Arc<Program>) -> Self {
        let uses = |variable| Uses::of(variable, &program.expression().expr);
        let (event, context, record) = (uses("event"), uses("context"), uses("record"));
        Self { program, event, context, record }
    }

    pub(super) fn run(&self, event: &Event, body: Option<Json<'_>>) -> Result<Cel, Fault> {
        let mut scope = Context::with_env(Arc::clone(&STANDARD));
        if let Some(body) = body {
            scope.add_variable_from_value("event", of_body(&self.event, body));
        }
        if self.context.any() {
            scope.add_variable_from_value("context", of_context(&self.context, event));
        }
        if self.record.any() {
            scope.add_variable_from_value("record", of_record(event));
        }
        self.program.execute(&scope).map_err(|error| fault(&error))
    }
}

fn of_body(uses: &Uses, body: Json<'_>) -> Cel {
    let is_object = matches!(body.kind(), JsonKind::Object(_));
    if uses.whole || !is_object {
        return from_json(body);
    }
    let known = |name: &Box<str>| body.get(name).map(|value| (key(name), from_json(value)));
    uses.fields.iter().filter_map(known).collect::<HashMap<_, _>>().into()
}

fn of_context(uses: &Uses, event: &Event) -> Cel {
    let values = event.context();
    let wanted = |name: &str| uses.whole || uses.fields.iter().any(|field| **field == *name);
    values
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (key(name), from_value(value)))
        .collect::<HashMap<_, _>>()
        .into()
}

/// `key` is null when the record has none or when it is not UTF-8.
fn of_record(event: &Event) -> Cel {
    let (record, provenance) = (event.record(), event.provenance());
    let text = record.key().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let headers = headers(record);
    HashMap::from([
        (key("key"), text.map_or(Cel::Null, Cel::from)),
        (key("topic"), Cel::from(&*provenance.topic)),
        (key("partition"), Cel::Int(provenance.position.partition.partition.into())),
        (key("offset"), Cel::Int(provenance.position.offset)),
        (key("timestamp"), Cel::Int(record.timestamp_ms())),
        (key("headers"), object(headers.iter())),
    ])
    .into()
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}

/// Integers become `int`, unlike the crate's own conversion, which makes `uint` of positive ones.
fn from_json(json: Json<'_>) -> Cel {
    match json.kind() {
        JsonKind::Null => Cel::Null,
        JsonKind::Bool(value) => Cel::Bool(value),
        JsonKind::Int(value) => Cel::Int(value),
        JsonKind::Unsigned(value) => Cel::UInt(value),
        JsonKind::Float(value) => Cel::Float(value),
        JsonKind::Text(text) => Cel::from(text),
        JsonKind::Array(items) => {
            Cel::List(Arc::new(items.map(|(_, item)| from_json(item)).collect()))
        }
        JsonKind::Object(members) => members
            .map(|(name, value)| (key(name.unwrap_or_default()), from_json(value)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

fn from_value(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => number
            .as_i64()
            .map(Cel::Int)
            .or_else(|| number.as_u64().map(Cel::UInt))
            .or_else(|| number.as_f64().map(Cel::Float))
            .unwrap_or(Cel::Null),
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(from_value).collect())),
        Value::Object(members) => object(members.iter()),
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> Cel {
    members.map(|(name, value)| (key(name), from_value(value))).collect::<HashMap<_, _>>().into()
}

fn fault(error: &ExecutionError) -> Fault {
    match error {
        ExecutionError::NoSuchKey(_) => Fault::MissingField,
        ExecutionError::NoSuchOverload(overload) => Fault::Overload(overload.to_string()),
        ExecutionError::Overflow(operator, ..) => Fault::Overflow(operator),
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => Fault::Operator(operator),
        ExecutionError::ValuesNotComparable(..) => Fault::NotComparable,
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Fault::DivisionByZero
        }
        ExecutionError::IndexOutOfBounds(_) => Fault::OutOfBounds,
        ExecutionError::FunctionError { function, .. } => Fault::Function(function.clone()),
        _ => Fault::Other,
    }
}
