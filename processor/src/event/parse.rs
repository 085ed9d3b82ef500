//! JSON text to tape, with a SIMD parser and no copy of the text.
//! Layer: core

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::{
    body::{Node, Slice, Span, Tape},
    estimate::Estimate,
};

/// Deepest nesting that is parsed; the parser recurses, and a worker's stack is finite.
pub const MAX_DEPTH: u8 = 128;

/// Why a value is no body. No message holds payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Zero bytes, which no JSON document has.
    #[error("value is empty (0 bytes), legal is one JSON document or a null value")]
    Empty,
    /// Not UTF-8.
    #[error("value is not UTF-8 at byte {offset}, legal is one JSON document in UTF-8")]
    NotUtf8 {
        /// Bytes before the first that is wrong.
        offset: usize,
    },
    /// Not JSON.
    #[error("value is not JSON at byte {offset} of {length}, legal is one JSON document")]
    Syntax {
        /// Where the parser stopped.
        offset: usize,
        /// Length of the value.
        length: usize,
    },
    /// Nested too deeply.
    #[error("value is nested deeper than {MAX_DEPTH} levels, legal are at most {MAX_DEPTH}")]
    TooDeep,
}

/// Parses one document.
pub(super) fn tape(text: &[u8], estimate: Estimate) -> Result<Tape, DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::Empty);
    }
    let text = std::str::from_utf8(text).map_err(|error| DecodeError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let mut builder = Builder {
        start: text.as_ptr().addr(),
        tape: Tape {
            nodes: Vec::with_capacity(estimate.nodes),
            unescaped: String::with_capacity(estimate.escaped),
        },
        too_deep: false,
    };
    let mut parser = sonic_rs::Deserializer::from_str(text);
    let parsed = Subtree {
        builder: &mut builder,
        depth: 0,
    }
    .deserialize(&mut parser)
    .and_then(|()| parser.end());
    match parsed {
        Ok(()) => Ok(builder.tape),
        Err(_) if builder.too_deep => Err(DecodeError::TooDeep),
        Err(error) => Err(DecodeError::Syntax {
            offset: error.offset().min(text.len()),
            length: text.len(),
        }),
    }
}

struct Builder {
    /// Address of the text, to turn a borrowed string into an offset.
    start: usize,
    tape: Tape,
    too_deep: bool,
}

impl Builder {
    fn push(&mut self, node: Node) {
        self.tape.nodes.push(node);
    }

    fn push_borrowed(&mut self, text: &str) {
        let start = narrow(text.as_ptr().addr() - self.start);
        self.push(Node::Text(Slice {
            start,
            length: narrow(text.len()),
        }));
    }

    fn push_copied(&mut self, text: &str) {
        let start = narrow(self.tape.unescaped.len());
        self.tape.unescaped.push_str(text);
        self.push(Node::Unescaped(Slice {
            start,
            length: narrow(text.len()),
        }));
    }

    fn open(&mut self) -> usize {
        self.push(Node::Null);
        self.tape.nodes.len() - 1
    }

    fn span(&self, members: u32) -> Span {
        Span {
            members,
            end: narrow(self.tape.nodes.len()),
        }
    }
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("Kafka caps a record at 1 GB")
}

/// Reads one value and everything below it.
struct Subtree<'t> {
    builder: &'t mut Builder,
    depth: u8,
}

impl Subtree<'_> {
    fn deeper<E: de::Error>(&mut self) -> Result<Subtree<'_>, E> {
        if self.depth == MAX_DEPTH {
            self.builder.too_deep = true;
            return Err(E::custom("too deep"));
        }
        Ok(Subtree {
            builder: self.builder,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Subtree<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Subtree<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.builder.push(Node::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.builder.push(Node::Int(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.builder
            .push(i64::try_from(value).map_or(Node::Unsigned(value), Node::Int));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.builder.push(Node::Float(value));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.builder.push_borrowed(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.builder.push_copied(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let opened = self.builder.open();
        let mut count = 0;
        while members.next_element_seed(self.deeper()?)?.is_some() {
            count += 1;
        }
        self.builder.tape.nodes[opened] = Node::Array(self.builder.span(count));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let opened = self.builder.open();
        let mut count = 0;
        while members
            .next_key_seed(Key {
                builder: self.builder,
            })?
            .is_some()
        {
            members.next_value_seed(self.deeper()?)?;
            count += 1;
        }
        self.builder.tape.nodes[opened] = Node::Object(self.builder.span(count));
        Ok(())
    }
}

/// Reads one object key.
struct Key<'t> {
    builder: &'t mut Builder,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.builder.push_borrowed(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.builder.push_copied(value);
        Ok(())
    }
}
