//! Bytes that an effect holds while it waits for its group, whatever the sink.
//! Layer: core

use serde_json::Value;

use crate::sinks::{Action, Effect, Reply};

/// Bytes of an effect and its job besides the owned parts: two of its own size, rounded up.
const FIXED: usize = 512;

/// Bytes of a map entry or an array slot besides its text: key, value, tree node share.
const SLOT: usize = 64;

/// Estimated heap bytes of an effect: text lengths plus a fixed charge per part.
pub(crate) fn weight(effect: &Effect) -> usize {
    FIXED
        + match &effect.action {
            Action::Create {
                index,
                id,
                document,
            } => index.len() + id.len() + document.len(),
            Action::Upsert { id, changes, .. } => {
                id.len()
                    + changes
                        .iter()
                        .map(|c| SLOT + value_weight(&c.value))
                        .sum::<usize>()
            }
            Action::Count { id, amounts, .. } => id.len() + amounts.len() * SLOT,
            Action::Unique { set, member, .. } => set.len() + member.len(),
        }
}

/// Estimated heap bytes of a reply; only a document has any.
pub(crate) fn reply_weight(reply: &Reply) -> usize {
    match reply {
        Reply::Document(body) => value_weight(body),
        Reply::Applied | Reply::Redelivered | Reply::Duplicate | Reply::Member { .. } => 0,
    }
}

fn value_weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|v| SLOT + value_weight(v)).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(k, v)| SLOT + k.len() + value_weight(v))
            .sum(),
    }
}
