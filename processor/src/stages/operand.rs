//! An operand of a stage: an expression, where it stands, and what its result may be.
//! Layer: core

mod found;
mod interpret;
mod uses;

use std::sync::Arc;

use penstock_crds::expression::{Expression, Form};
use serde_json::Value;

use self::{
    found::{Found, Scalar},
    interpret::Interpreter,
};
use crate::{
    event::{Event, json::Json},
    stage::StageError,
};

/// Longest id of a document or name of a set, bytes; the limit of Elasticsearch.
pub const MAX_ID_BYTES: usize = 512;

/// Longest part of an expression that a message repeats, characters.
const SHOWN: usize = 64;

/// An expression in its place.
pub struct Operand {
    field: Box<str>,
    expression: Expression,
    interpreter: Option<Interpreter>,
}

impl Operand {
    /// Binds an expression to the field of the stage that holds it.
    #[must_use]
    pub fn new(field: &str, expression: &Expression) -> Self {
        let interpreter = match expression.form() {
            Form::Cel(program) => Some(Interpreter::new(Arc::clone(program))),
            _ => None,
        };
        Self {
            field: field.into(),
            expression: expression.clone(),
            interpreter,
        }
    }

    /// Whether evaluating it looks at the decoded body.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.expression.roots().event
    }

    /// A condition.
    ///
    /// # Errors
    /// When the result is anything but `true` or `false`. `has(a.b.c)` alone is false, never an
    /// error, when any part of the path is missing.
    pub fn condition(&self, event: &Event) -> Result<bool, StageError> {
        let found = self.find(event)?;
        match found.scalar() {
            Scalar::Bool(value) => Ok(value),
            other => Err(self.illegal(&other, "true or false")),
        }
    }

    /// A signed integer of 64 bits.
    ///
    /// # Errors
    /// When the result is anything else; a number with a fraction or exponent is none.
    pub fn integer(&self, event: &Event) -> Result<i64, StageError> {
        let found = self.find(event)?;
        match found.scalar() {
            Scalar::Int(value) => Ok(value),
            other => Err(self.illegal(&other, "an integer of 64 bits with sign")),
        }
    }

    /// An id or a name: text or integer.
    ///
    /// # Errors
    /// When the result is null, missing, empty, longer than [`MAX_ID_BYTES`] or of another kind.
    pub fn id(&self, event: &Event) -> Result<String, StageError> {
        const LEGAL: &str = "an integer or a string of 1 to 512 bytes";
        let found = self.find(event)?;
        match found.scalar() {
            Scalar::Int(value) => Ok(value.to_string()),
            Scalar::Unsigned(value) => Ok(value.to_string()),
            Scalar::Text(text) if (1..=MAX_ID_BYTES).contains(&text.len()) => Ok(text.to_owned()),
            other => Err(self.illegal(&other, LEGAL)),
        }
    }

    /// Opaque bytes: text as it is, an integer in decimal, `record.key` byte for byte.
    ///
    /// # Errors
    /// When the result is missing or of another kind. Null is `None`.
    pub fn bytes(&self, event: &Event) -> Result<Option<Vec<u8>>, StageError> {
        let found = self.find(event)?;
        match found.scalar() {
            Scalar::Null => Ok(None),
            Scalar::Int(value) => Ok(Some(value.to_string().into_bytes())),
            Scalar::Unsigned(value) => Ok(Some(value.to_string().into_bytes())),
            Scalar::Text(text) => Ok(Some(text.as_bytes().to_vec())),
            Scalar::NotUtf8(bytes) => Ok(Some(bytes.to_vec())),
            other => Err(self.illegal(&other, "a string, an integer or null")),
        }
    }

    /// A member of a set, opaque bytes as in [`Operand::bytes`].
    ///
    /// # Errors
    /// When the result is null, missing, empty or of another kind.
    pub fn member(&self, event: &Event) -> Result<Vec<u8>, StageError> {
        match self.bytes(event)? {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            Some(_) => Err(self.illegal(&Scalar::Text(""), "a string or an integer")),
            None => Err(self.illegal(&Scalar::Null, "a string or an integer")),
        }
    }

    /// Any JSON value.
    ///
    /// # Errors
    /// When the result is missing or has no form in JSON.
    pub fn json(&self, event: &Event) -> Result<Value, StageError> {
        let found = self.find(event)?;
        found
            .to_json()
            .map_err(|other| self.illegal(&other, "any JSON value"))
    }

    /// A record error at this place.
    pub(super) fn error(&self, reason: &str) -> StageError {
        let text = self.expression.text();
        let shown = text
            .char_indices()
            .nth(SHOWN)
            .map_or(text, |(end, _)| &text[..end]);
        StageError::Record {
            reason: format!("{} `{shown}`: {reason}", self.field),
        }
    }

    fn illegal(&self, found: &Scalar<'_>, legal: &str) -> StageError {
        self.error(&format!("found {}, legal is {legal}", found.name()))
    }

    fn find<'e>(&'e self, event: &'e Event) -> Result<Found<'e>, StageError> {
        let reads_body = self.expression.roots().event;
        // A broken body is reported with the place that wanted it.
        let body = if reads_body {
            Some(
                event
                    .body()
                    .map_err(|error| self.error(&error.to_string()))?,
            )
        } else {
            None
        };
        Ok(match self.expression.form() {
            Form::Integer(value) => Found::Int(*value),
            Form::Text(text) => Found::Text(text),
            Form::Has(path) => {
                Found::Bool(!matches!(found::look_up(path, event, body), Found::Missing))
            }
            Form::Path(path) => found::look_up(path, event, body),
            _ => self.interpret(event, body)?,
        })
    }

    fn interpret<'e>(
        &'e self,
        event: &'e Event,
        body: Option<Json<'e>>,
    ) -> Result<Found<'e>, StageError> {
        let Some(interpreter) = &self.interpreter else {
            return Err(self.error("cannot be evaluated by this version"));
        };
        interpreter
            .run(event, body)
            .map(Found::Cel)
            .map_err(|fault| self.error(&fault.to_string()))
    }
}
