//! Runs a CEL program over an event. Only what the program reads is converted to CEL's values.
//! Layer: core

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, ExecutionError, Program,
    common::types::{
        CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
    },
    objects::Value as Cel,
};
use serde_json::{Number, Value};

use super::uses::Uses;
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
        Self {
            program,
            event,
            context,
            record,
        }
    }

    pub(super) fn run(&self, event: &Event, body: Option<Json<'_>>) -> Result<Cel, Fault> {
        let mut scope = Context::with_env(Arc::clone(&STANDARD));
        if let Some(body) = body {
            scope.add_variable_as_val("event", of_body(&self.event, body));
        }
        if self.context.any() {
            scope.add_variable_as_val("context", of_context(&self.context, event));
        }
        if self.record.any() {
            scope.add_variable_as_val("record", of_record(&self.record, event));
        }
        self.program.execute(&scope).map_err(|error| fault(&error))
    }
}

/// A value of the interpreter; text is borrowed from the event, not copied.
type Val<'v> = Box<dyn cel::common::value::Val + 'v>;

fn of_body<'v>(uses: &Uses, body: Json<'v>) -> Val<'v> {
    match body.kind() {
        JsonKind::Object(members) => map(members
            .map(|(name, value)| (name.unwrap_or_default(), value))
            .filter(|(name, _)| uses.reads(name))
            .map(|(name, value)| (name, from_json(value)))),
        _ => from_json(body),
    }
}

fn of_context<'v>(uses: &Uses, event: &'v Event) -> Val<'v> {
    map(event
        .context()
        .iter()
        .filter(|(name, _)| uses.reads(name))
        .map(|(name, value)| (name.as_str(), from_value(value))))
}

/// `key` is null when the record has none or when it is not UTF-8; so is a header's value. Of
/// headers with one name the first counts.
fn of_record<'v>(uses: &Uses, event: &'v Event) -> Val<'v> {
    let (record, provenance) = (event.record(), event.provenance());
    let partition = provenance.position.partition.partition;
    let headers = || -> Val<'v> {
        let mut headers = HashMap::new();
        for (name, value) in record.headers() {
            headers
                .entry(CelMapKey::from(name))
                .or_insert_with(|| text(value));
        }
        Box::new(CelMap::from(headers))
    };
    let fields: [(&str, &dyn Fn() -> Val<'v>); 6] = [
        ("key", &|| text(record.key())),
        ("topic", &|| Box::new(CelString::from(&*provenance.topic))),
        ("partition", &|| {
            Box::new(CelInt::from(i64::from(partition)))
        }),
        ("offset", &|| {
            Box::new(CelInt::from(provenance.position.offset))
        }),
        ("timestamp", &|| {
            Box::new(CelInt::from(record.timestamp_ms()))
        }),
        ("headers", &headers),
    ];
    map(fields
        .into_iter()
        .filter(|(name, _)| uses.reads(name))
        .map(|(name, value)| (name, value())))
}

fn text(bytes: Option<&[u8]>) -> Val<'_> {
    match bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        Some(text) => Box::new(CelString::from(text)),
        None => Box::new(CelNull),
    }
}

fn map<'v>(members: impl Iterator<Item = (&'v str, Val<'v>)>) -> Val<'v> {
    let members = members.map(|(name, value)| (CelMapKey::from(name), value));
    Box::new(CelMap::from(members.collect::<HashMap<_, _>>()))
}

/// Integers become `int`, unlike the crate's own conversion, which makes `uint` of positive ones.
fn from_json(json: Json<'_>) -> Val<'_> {
    match json.kind() {
        JsonKind::Null => Box::new(CelNull),
        JsonKind::Bool(value) => Box::new(CelBool::from(value)),
        JsonKind::Int(value) => Box::new(CelInt::from(value)),
        JsonKind::Unsigned(value) => Box::new(CelUInt::from(value)),
        JsonKind::Float(value) => Box::new(CelDouble::from(value)),
        JsonKind::Text(text) => Box::new(CelString::from(text)),
        JsonKind::Array(items) => {
            let items = items.map(|(_, item)| from_json(item));
            Box::new(CelList::from(items.collect::<Vec<_>>()))
        }
        JsonKind::Object(members) => {
            map(members.map(|(name, value)| (name.unwrap_or_default(), from_json(value))))
        }
    }
}

fn from_value(value: &Value) -> Val<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => from_number(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(
            items.iter().map(from_value).collect::<Vec<_>>(),
        )),
        Value::Object(members) => map(members
            .iter()
            .map(|(name, value)| (name.as_str(), from_value(value)))),
    }
}

fn from_number<'v>(number: &Number) -> Val<'v> {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(value), ..) => Box::new(CelInt::from(value)),
        (_, Some(value), _) => Box::new(CelUInt::from(value)),
        (.., Some(value)) => Box::new(CelDouble::from(value)),
        (None, None, None) => Box::new(CelNull),
    }
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
