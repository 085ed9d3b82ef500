//! A view of one value inside a parsed body; copying it costs nothing.
//! Layer: core

use std::fmt;

use serde_json::{Map, Number, Value};

use super::body::{Node, Slice, Span, Tape};

/// One JSON value, borrowed from the body and the record's bytes.
#[derive(Clone, Copy)]
pub struct Json<'a> {
    text: &'a [u8],
    tape: &'a Tape,
    at: usize,
}

/// A value taken apart.
#[derive(Clone, Copy)]
pub enum JsonKind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of at most 63 bits and sign.
    Int(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// A string, escapes resolved.
    Text(&'a str),
    /// An array.
    Array(Members<'a>),
    /// An object.
    Object(Members<'a>),
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a [u8], tape: &'a Tape, at: usize) -> Self {
        Self { text, tape, at }
    }

    /// What it is.
    ///
    /// # Panics
    /// Never: strings were valid UTF-8 when parsed, and the record's bytes do not change.
    #[must_use]
    pub fn kind(&self) -> JsonKind<'a> {
        match self.tape.nodes[self.at] {
            Node::Null => JsonKind::Null,
            Node::Bool(value) => JsonKind::Bool(value),
            Node::Int(value) => JsonKind::Int(value),
            Node::Unsigned(value) => JsonKind::Unsigned(value),
            Node::Float(value) => JsonKind::Float(value),
            Node::Text(_) | Node::Unescaped(_) => {
                let bytes = self.string_bytes(self.at);
                JsonKind::Text(std::str::from_utf8(bytes).expect("validated when parsed"))
            }
            Node::Array(span) => JsonKind::Array(self.members(span)),
            Node::Object(span) => JsonKind::Object(self.members(span)),
        }
    }

    /// A member of an object; of doubled names the last, as other readers of JSON do.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        let Node::Object(span) = self.tape.nodes[self.at] else {
            return None;
        };
        let mut at = self.at + 1;
        let mut found = None;
        for _ in 0..span.members {
            if self.string_bytes(at) == name.as_bytes() {
                found = Some(Json {
                    at: at + 1,
                    ..*self
                });
            }
            at = self.behind(at + 1);
        }
        found
    }

    /// Follows names from object to object.
    #[must_use]
    pub fn path<S: AsRef<str>>(&self, names: &[S]) -> Option<Json<'a>> {
        names
            .iter()
            .try_fold(*self, |value, name| value.get(name.as_ref()))
    }

    /// A copy that owns everything.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self.kind() {
            JsonKind::Null => Value::Null,
            JsonKind::Bool(value) => Value::Bool(value),
            JsonKind::Int(value) => Value::from(value),
            JsonKind::Unsigned(value) => Value::from(value),
            JsonKind::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            JsonKind::Text(value) => Value::from(value),
            JsonKind::Array(members) => members.map(|(_, value)| value.to_value()).collect(),
            JsonKind::Object(members) => Value::Object(
                members
                    .map(|(name, value)| (name.unwrap_or_default().to_owned(), value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    fn members(&self, span: Span) -> Members<'a> {
        Members {
            json: Json {
                at: self.at + 1,
                ..*self
            },
            left: span.members,
            of: *self,
        }
    }

    /// Index of the first node behind the value at `at`.
    fn behind(&self, at: usize) -> usize {
        match self.tape.nodes[at] {
            Node::Array(span) | Node::Object(span) => span.end as usize,
            _ => at + 1,
        }
    }

    /// Bytes of the string at `at`; of anything else none.
    fn string_bytes(&self, at: usize) -> &'a [u8] {
        let cut =
            |bytes: &'a [u8], slice: Slice| &bytes[slice.start as usize..][..slice.length as usize];
        match self.tape.nodes[at] {
            Node::Text(slice) => cut(self.text, slice),
            Node::Unescaped(slice) => cut(self.tape.unescaped.as_bytes(), slice),
            _ => &[],
        }
    }
}

/// No payload in a log, so none in `Debug` either.
impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The members of an array or object in document order; names only in objects.
#[derive(Clone, Copy)]
pub struct Members<'a> {
    json: Json<'a>,
    left: u32,
    of: Json<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Option<&'a str>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut value = self.json;
        let mut name = None;
        if matches!(self.of.tape.nodes[self.of.at], Node::Object(_)) {
            let bytes = value.string_bytes(value.at);
            name = Some(std::str::from_utf8(bytes).expect("validated when parsed"));
            value.at += 1;
        }
        self.json.at = value.behind(value.at);
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}
