//! Applies the changes of an upsert to a JSON document, or refuses them all.
//! Layer: core

use std::cmp::Ordering;

use serde_json::{Map, Value, map::Entry};

use crate::sinks::{Change, Operator};

/// Deepest nesting a document may reach, levels. The JSON parser stops at 128, so a deeper document
/// could be written but never read again.
pub const MAX_DEPTH: usize = 100;

/// Why a change does not fit its document. The record is to blame, as its values are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The path has an empty step.
    #[error("field {field:?} has an empty step; legal is a.b.c")]
    EmptyStep {
        /// The whole path.
        field: String,
    },
    /// The path runs through something that has no fields.
    #[error("field {field} runs through {found}; legal is an object")]
    NotAnObject {
        /// The whole path.
        field: String,
        /// Kind of the value in the way.
        found: &'static str,
    },
    /// The field or the operand is of a kind that the operator cannot use.
    #[error("{operator:?} on field {field} meets {found}; legal is {legal}")]
    Kind {
        /// The whole path.
        field: String,
        /// The operator.
        operator: Operator,
        /// Kind of the value found.
        found: &'static str,
        /// What would be legal.
        legal: &'static str,
    },
    /// The sum leaves the range of a signed 64-bit integer.
    #[error("Inc on field {field} leaves the range of a 64-bit integer")]
    Overflow {
        /// The whole path.
        field: String,
    },
    /// The document would become unreadable.
    #[error("field {field} would nest deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The whole path.
        field: String,
    },
}

/// Applies `changes` in order; `None` is a document that does not exist yet.
///
/// Integers are compared exactly; where a float takes part both sides are compared as floats.
///
/// # Errors
/// The first change that does not fit. The document is consumed, so nothing is half applied.
pub fn apply_changes(document: Option<Value>, changes: &[Change]) -> Result<Value, ChangeError> {
    let existed = document.is_some();
    let mut document = document.unwrap_or_else(|| Value::Object(Map::new()));
    for change in changes {
        if existed && change.operator == Operator::SetOnInsert {
            continue;
        }
        apply(&mut document, change)?;
    }
    Ok(document)
}

fn apply(document: &mut Value, change: &Change) -> Result<(), ChangeError> {
    check_depth(change)?;
    let (path, last) = split(&change.field);
    if change.operator == Operator::Unset {
        return unset(document, path, last, change);
    }
    let parent = descend(document, path, change)?;
    if last.is_empty() {
        return Err(empty_step(change));
    }
    let entry = parent.entry(last);
    match change.operator {
        Operator::Set | Operator::SetOnInsert => assign(entry, change),
        Operator::Inc => increment(entry, change)?,
        Operator::Min => keep(entry, change, Ordering::Less)?,
        Operator::Max => keep(entry, change, Ordering::Greater)?,
        Operator::Push => append(entry, change, Repeats::Kept)?,
        Operator::AddToSet => append(entry, change, Repeats::Dropped)?,
        Operator::Unset => {}
    }
    Ok(())
}

/// Splits `a.b.c` into the way `a.b` and the field `c`.
fn split(field: &str) -> (Option<&str>, &str) {
    field
        .rsplit_once('.')
        .map_or((None, field), |(path, last)| (Some(path), last))
}

/// Walks to the object that holds the field, creating objects on the way.
fn descend<'d>(
    document: &'d mut Value,
    path: Option<&str>,
    change: &Change,
) -> Result<&'d mut Map<String, Value>, ChangeError> {
    let mut at = as_object(document, change)?;
    for step in path.into_iter().flat_map(|path| path.split('.')) {
        if step.is_empty() {
            return Err(empty_step(change));
        }
        let next = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
        at = as_object(next, change)?;
    }
    Ok(at)
}

fn as_object<'d>(
    value: &'d mut Value,
    change: &Change,
) -> Result<&'d mut Map<String, Value>, ChangeError> {
    let found = kind(value);
    let field = &change.field;
    value
        .as_object_mut()
        .ok_or_else(|| ChangeError::NotAnObject {
            field: field.to_string(),
            found,
        })
}

fn assign(entry: Entry<'_>, change: &Change) {
    match entry {
        Entry::Vacant(vacant) => {
            vacant.insert(change.value.clone());
        }
        Entry::Occupied(mut occupied) => {
            occupied.insert(change.value.clone());
        }
    }
}

fn increment(entry: Entry<'_>, change: &Change) -> Result<(), ChangeError> {
    let amount = integer(&change.value, change)?;
    let field = entry.or_insert_with(|| Value::from(0));
    let sum = integer(field, change)?
        .checked_add(amount)
        .ok_or_else(|| ChangeError::Overflow {
            field: change.field.to_string(),
        })?;
    *field = Value::from(sum);
    Ok(())
}

fn integer(value: &Value, change: &Change) -> Result<i64, ChangeError> {
    value
        .as_i64()
        .ok_or_else(|| kind_error(value, change, "a 64-bit integer"))
}

/// Keeps the operand when it stands to the field as `wanted` says.
fn keep(entry: Entry<'_>, change: &Change, wanted: Ordering) -> Result<(), ChangeError> {
    let legal = "two numbers or two strings";
    match entry {
        Entry::Vacant(vacant) => {
            if !(change.value.is_number() || change.value.is_string()) {
                return Err(kind_error(&change.value, change, legal));
            }
            vacant.insert(change.value.clone());
        }
        Entry::Occupied(mut occupied) => {
            let order = compare(&change.value, occupied.get())
                .ok_or_else(|| kind_error(occupied.get(), change, legal))?;
            if order == wanted {
                occupied.insert(change.value.clone());
            }
        }
    }
    Ok(())
}

/// The order of two numbers or two strings.
pub(crate) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i128(), right.as_i128()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        _ => None,
    }
}

/// What appending does with an element that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Kept,
    Dropped,
}

fn append(entry: Entry<'_>, change: &Change, repeats: Repeats) -> Result<(), ChangeError> {
    let field = entry.or_insert_with(|| Value::Array(Vec::new()));
    let Some(array) = field.as_array_mut() else {
        return Err(kind_error(field, change, "an array"));
    };
    if repeats == Repeats::Kept || !array.contains(&change.value) {
        array.push(change.value.clone());
    }
    Ok(())
}

/// Removes the field; a way that does not exist is a field that does not exist.
fn unset(
    document: &mut Value,
    path: Option<&str>,
    last: &str,
    change: &Change,
) -> Result<(), ChangeError> {
    let mut steps = path.into_iter().flat_map(|path| path.split('.'));
    if last.is_empty() || steps.clone().any(str::is_empty) {
        return Err(empty_step(change));
    }
    let parent = steps.try_fold(document, |at, step| at.get_mut(step));
    if let Some(parent) = parent.and_then(Value::as_object_mut) {
        parent.remove(last);
    }
    Ok(())
}

fn check_depth(change: &Change) -> Result<(), ChangeError> {
    let steps = change.field.split('.').count();
    // Push and AddToSet put the operand one level below the field.
    if steps + 1 + depth(&change.value) > MAX_DEPTH {
        return Err(ChangeError::TooDeep {
            field: change.field.to_string(),
        });
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn empty_step(change: &Change) -> ChangeError {
    ChangeError::EmptyStep {
        field: change.field.to_string(),
    }
}

fn kind_error(value: &Value, change: &Change, legal: &'static str) -> ChangeError {
    ChangeError::Kind {
        field: change.field.to_string(),
        operator: change.operator,
        found: kind(value),
        legal,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
