//! What the stages of one event leave for each other: a small JSON object with a byte limit.
//! Layer: core

use serde_json::{Map, Value};

/// Most heap bytes that one event's context may hold. A queued detached event keeps its context, so
/// this is part of what a record can cost beyond its own bytes.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;

/// A B-tree leaf of `serde_json::Map`: eleven names and values and the links.
const LEAF_BYTES: usize = 640;
/// A leaf that was split is at least half full.
const LEAF_FILL: usize = 5;

/// A value that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context would hold {bytes} bytes, legal are at most {MAX_CONTEXT_BYTES}")]
pub struct ContextFull {
    /// Heap bytes with the new value.
    pub bytes: usize,
}

/// Named values in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Context {
    values: Map<String, Value>,
    bytes: usize,
}

impl Context {
    /// The values.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Upper bound of the heap bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a value under a name, in place of an older one.
    ///
    /// # Errors
    /// When the context would grow beyond [`MAX_CONTEXT_BYTES`]; it is then as it was.
    pub fn put(&mut self, name: &str, value: Value) -> Result<(), ContextFull> {
        let replaced = self
            .values
            .get(name)
            .map_or(0, |old| entry_bytes(name, old));
        let bytes = self.bytes - replaced + entry_bytes(name, &value);
        if bytes > MAX_CONTEXT_BYTES {
            return Err(ContextFull { bytes });
        }
        self.bytes = bytes;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }
}

fn entry_bytes(name: &str, value: &Value) -> usize {
    LEAF_BYTES / LEAF_FILL + name.len() + heap_bytes(value)
}

fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items
            .iter()
            .map(|item| size_of::<Value>() + heap_bytes(item))
            .sum(),
        Value::Object(members) => {
            let leaves = (members.len() / LEAF_FILL + 1) * LEAF_BYTES;
            let inside = |(name, value): (&String, &Value)| name.len() + heap_bytes(value);
            leaves + members.iter().map(inside).sum::<usize>()
        }
    }
}
