//! Expressions of a pipeline: CEL over `event`, `record` and `context`, with forms that cost no interpreter.
//! Layer: core

mod scope;

use std::{fmt, sync::Arc};

use cel::{
    Program,
    common::ast::{Expr, LiteralValue},
};

use crate::names::shown;

/// Longest expression, bytes.
pub const MAX_LENGTH: usize = 2048;
/// Deepest nesting of `map`, `filter`, `all`, `exists`: two loops over a list at most.
pub const MAX_MACRO_DEPTH: u32 = 2;
/// The fields of `record`.
pub const RECORD_FIELDS: &str = "key, topic, partition, offset, timestamp, headers";

/// A parsed expression. Cheap to clone, safe to share between threads.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    form: Form,
    names: scope::Names,
}

/// What an expression is, from cheapest to dearest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Form {
    /// An integer literal.
    Integer(i64),
    /// A string literal.
    Text(Arc<str>),
    /// A plain field: `event.customer.email`, `record.key`, `record.headers["trace-id"]`.
    Path(Path),
    /// `has(event.a.b)`: whether the last field is there.
    Has(Path),
    /// Anything else, for the interpreter. Its variables are `event`, `record` and `context`.
    Cel(Arc<Program>),
}

/// A plain field of one of the three variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Fields below the decoded body; none is the body itself.
    Event(Box<[Box<str>]>),
    /// Fields below the context; none is the whole context.
    Context(Box<[Box<str>]>),
    /// A field of the record.
    Record(RecordField),
}

/// A field of `record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordField {
    /// `record.key`: the key as text, null when the record has none.
    Key,
    /// `record.topic`: text.
    Topic,
    /// `record.partition`: integer.
    Partition,
    /// `record.offset`: integer.
    Offset,
    /// `record.timestamp`: milliseconds since the epoch, integer.
    Timestamp,
    /// `record.headers`: map of name to text.
    Headers,
    /// `record.headers.name` or `record.headers["name"]`: text.
    Header(Box<str>),
}

/// Which variables an expression reads; a pipeline that never reads `event` parses no body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Reads `event`.
    pub event: bool,
    /// Reads `record`.
    pub record: bool,
    /// Reads `context`.
    pub context: bool,
}

/// A text that is no expression of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionFault {
    /// Nothing there.
    #[error("an empty expression: write a field such as event.id, a literal, or CEL")]
    Empty,
    /// Longer than [`MAX_LENGTH`].
    #[error("an expression of {0} bytes: at most {MAX_LENGTH} are legal")]
    TooLong(usize),
    /// Not CEL.
    #[error("{} does not parse as CEL at column {column}: {reason}", shown(text))]
    Syntax {
        /// The expression.
        text: String,
        /// One-based.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// A variable that does not exist.
    #[error(
        "{} names the unknown variable {variable}: legal are event, record and context",
        shown(text)
    )]
    UnknownVariable {
        /// The expression.
        text: String,
        /// The variable.
        variable: String,
    },
    /// A function that does not exist.
    #[error("{} calls the unknown function {function}: legal are {}", shown(text), scope::FUNCTIONS.join(", "))]
    UnknownFunction {
        /// The expression.
        text: String,
        /// The function.
        function: String,
    },
    /// A field that no record has.
    #[error(
        "{} names record.{field}, which does not exist: legal are {RECORD_FIELDS}",
        shown(text)
    )]
    UnknownRecordField {
        /// The expression.
        text: String,
        /// The field below `record`.
        field: String,
    },
    /// Loops in loops in loops.
    #[error(
        "{} nests {depth} macros: at most {MAX_MACRO_DEPTH} are legal",
        shown(text)
    )]
    TooDeep {
        /// The expression.
        text: String,
        /// Nesting of macros.
        depth: u32,
    },
}

impl Expression {
    /// Parses an expression and checks every name in it.
    ///
    /// # Errors
    /// The first thing in the text that is not legal.
    pub fn parse(text: &str) -> Result<Self, ExpressionFault> {
        if text.trim().is_empty() {
            return Err(ExpressionFault::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(ExpressionFault::TooLong(text.len()));
        }
        let program = Program::compile(text).map_err(|errors| syntax(text, &errors))?;
        let names = scope::check(text, program.expression())?;
        Ok(Self {
            text: Arc::from(text),
            form: form(program),
            names,
        })
    }

    /// The expression as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to evaluate.
    #[must_use]
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Which variables it reads.
    #[must_use]
    pub fn roots(&self) -> Roots {
        self.names.roots
    }

    /// The fields of `context` that it names, each once.
    pub fn context_fields(&self) -> impl Iterator<Item = &str> {
        self.names.context_fields.iter().map(String::as_str)
    }

    /// Whether it is exactly this field of the record.
    #[must_use]
    pub fn is_record_field(&self, field: &RecordField) -> bool {
        matches!(&self.form, Form::Path(Path::Record(own)) if own == field)
    }
}

/// Equal texts are equal expressions.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

fn syntax(text: &str, errors: &cel::ParseErrors) -> ExpressionFault {
    let first = errors.errors.first();
    let column = first.map_or(1, |error| error.pos.1.max(1).unsigned_abs());
    let reason = first.map_or("no reason given".to_owned(), |error| reason(&error.msg));
    ExpressionFault::Syntax {
        text: text.to_owned(),
        column,
        reason,
    }
}

/// The parser's reason without the list of every token that it would have taken.
fn reason(message: &str) -> String {
    if message.contains("Recursion limit") {
        return "nested too deeply".to_owned();
    }
    let short = message.split(" expecting ").next().unwrap_or(message);
    let short = short.strip_prefix("Syntax error: ").unwrap_or(short);
    short.replace("mismatched input '<EOF>'", "it ends too early")
}

fn form(program: Program) -> Form {
    let expression = &program.expression().expr;
    let cheap = match expression {
        Expr::Literal(LiteralValue::Int(value)) => Some(Form::Integer(*value.inner())),
        Expr::Literal(LiteralValue::String(value)) => Some(Form::Text(Arc::from(value.inner()))),
        Expr::Select(select) if select.test => {
            let mut fields = scope::segments(&select.operand.expr).unwrap_or_default();
            fields.push(&select.field);
            path(&fields).map(Form::Has)
        }
        other => scope::segments(other)
            .and_then(|fields| path(&fields))
            .map(Form::Path),
    };
    cheap.unwrap_or_else(|| Form::Cel(Arc::new(program)))
}

fn path(segments: &[&str]) -> Option<Path> {
    let (root, fields) = segments.split_first()?;
    let owned = || fields.iter().map(|field| Box::from(*field)).collect();
    match *root {
        "event" => Some(Path::Event(owned())),
        "context" => Some(Path::Context(owned())),
        "record" => RecordField::from_segments(fields).map(Path::Record),
        _ => None,
    }
}

impl fmt::Display for RecordField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self {
            Self::Key => "key",
            Self::Topic => "topic",
            Self::Partition => "partition",
            Self::Offset => "offset",
            Self::Timestamp => "timestamp",
            Self::Headers => "headers",
            Self::Header(name) => return write!(f, "record.headers[{name:?}]"),
        };
        write!(f, "record.{field}")
    }
}

impl RecordField {
    fn from_segments(fields: &[&str]) -> Option<Self> {
        Some(match fields {
            ["key"] => Self::Key,
            ["topic"] => Self::Topic,
            ["partition"] => Self::Partition,
            ["offset"] => Self::Offset,
            ["timestamp"] => Self::Timestamp,
            ["headers"] => Self::Headers,
            ["headers", name] => Self::Header(Box::from(*name)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
