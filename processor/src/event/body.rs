//! The parsed body of a record: a flat tape of nodes that points into the record's own bytes.
//! Layer: core
//!
//! No string is copied unless it contains an escape, no object becomes a map.
//!
//! Measured on two cores with jemalloc's `stats.allocated`, heap bytes per byte of JSON and
//! nanoseconds to scan, parse and drop; each parser at its leanest form that can be kept
//! (simd-json parses in place, so its copy of the text is counted; a tape of sonic-rs does not
//! exist):
//!
//! | text | this tape (estimate) | sonic-rs `Value` | simd-json borrowed | simd-json tape | serde_json |
//! | --- | --- | --- | --- | --- | --- |
//! | pixel event, 307 B | 2.1 (2.2), 447 ns | 6.5, 210 ns | 4.1, 673 ns | 6.9, 360 ns | 10.1, 1024 ns |
//! | event, 1 KiB | 0.6 (0.7), 525 ns | 2.8, 278 ns | 2.0, 662 ns | 2.8, 447 ns | 3.8, 1220 ns |
//! | order of 12 lines with escapes, 2.2 KB | 2.5 (3.0), 4.4 µs | 4.6, 1.7 µs | 5.7, 5.0 µs | 7.6, 2.7 µs | 12.8, 11.3 µs |
//! | `[0,1,2,...]`, 85 KiB | 3.1 (3.8), 188 µs | 4.1, 76 µs | 5.7, 233 µs | 10.1, 171 µs | 6.0, 310 µs |
//! | `[{},{},...]`, 48 KiB | 10.7 (13.3), 280 µs | 6.5, 49 µs | 25.1, 374 µs | 25.2, 77 µs | 10.7, 385 µs |
//! | `[{"a":1},...]`, 128 KiB | 6.0 (7.5), 439 µs | 17.0, 175 µs | 16.0, 858 µs | 19.1, 287 µs | 85.0, 1587 µs |
//! | one string, 64 KiB | 0.0 (0.0), 9 µs | 1.1, 4 µs | 1.0, 9 µs | 1.0, 9 µs | 1.0, 8 µs |
//!
//! So: sonic-rs as the parser, our tape as the form. The document of sonic-rs is faster by 0.2 µs
//! an event, but it holds two to four times the memory, which bounds how many events can be active,
//! and it keeps a buffer of up to 3 MiB per thread that no ledger would see.

use std::sync::Arc;

use super::{
    estimate::Estimate,
    json::Json,
    parse::{self, DecodeError},
};
use crate::record::Record;

/// One value or one object key: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX` only.
    Unsigned(u64),
    Float(f64),
    /// A slice of the record's value.
    Text(Slice),
    /// A slice of [`Tape::unescaped`].
    Unescaped(Slice),
    /// Members follow; each is one subtree.
    Array(Span),
    /// Members follow as key, subtree, key, subtree.
    Object(Span),
}

const _: () = assert!(
    size_of::<Node>() == 16,
    "the estimate counts 16 bytes a node"
);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) start: u32,
    pub(super) length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Members; a key and its value are one.
    pub(super) members: u32,
    /// Index of the first node behind the container.
    pub(super) end: u32,
}

/// The nodes of one text.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) nodes: Vec<Node>,
    pub(super) unescaped: String,
}

/// A parsed record value. Holds the record, so that the tape's slices stay meaningful.
#[derive(Debug)]
pub struct Body {
    record: Arc<Record>,
    tape: Tape,
}

impl Body {
    /// Parses the record's value. A null value (tombstone) is JSON `null`.
    ///
    /// # Errors
    /// When the value is not one JSON document, is nested too deeply, or is empty.
    pub fn parse(record: Arc<Record>, estimate: Estimate) -> Result<Self, DecodeError> {
        let tape = match record.value() {
            Some(text) => parse::tape(text, estimate)?,
            None => Tape {
                nodes: vec![Node::Null],
                unescaped: String::new(),
            },
        };
        Ok(Self { record, tape })
    }

    /// The document.
    #[must_use]
    pub fn root(&self) -> Json<'_> {
        Json::new(self.record.value().unwrap_or_default(), &self.tape, 0)
    }
}
