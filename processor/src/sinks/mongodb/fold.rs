//! Makes changes that follow each other into changes that happen at once, one for each field.
//! Layer: core

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::values::record;
use crate::sinks::{
    Change, Operator, SinkError,
    document::{apply_changes, compare},
};

/// The same effect with every field named once. The operand of `Push` and `AddToSet` becomes a
/// list of operands.
pub(super) fn fold(changes: &[Change]) -> Result<Vec<Change>, SinkError> {
    let mut folded: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        add(&mut folded, change)?;
    }
    Ok(folded)
}

fn add(folded: &mut Vec<Change>, change: &Change) -> Result<(), SinkError> {
    if matches!(change.operator, Operator::Set | Operator::Unset) {
        // What happened to the field before, and below it, is overwritten.
        folded.retain(|earlier| !is_within(&earlier.field, &change.field));
    }
    let meets = |earlier: &&mut Change| {
        is_within(&earlier.field, &change.field) || is_within(&change.field, &earlier.field)
    };
    let Some(earlier) = folded.iter_mut().find(meets) else {
        folded.push(listed(change));
        return Ok(());
    };
    if earlier.field != change.field {
        return Err(cannot(earlier, change));
    }
    join(earlier, change)
}

/// Whether a path is another one or leads through it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn listed(change: &Change) -> Change {
    let mut change = change.clone();
    if matches!(change.operator, Operator::Push | Operator::AddToSet) {
        change.value = Value::Array(vec![change.value]);
    }
    change
}

fn join(earlier: &mut Change, change: &Change) -> Result<(), SinkError> {
    use Operator::{AddToSet, Inc, Max, Min, Push, Set, SetOnInsert, Unset};
    match (earlier.operator, change.operator) {
        (Set | Unset, Inc | Min | Max | Push | AddToSet) => known(earlier, change)?,
        (SetOnInsert, SetOnInsert) => earlier.value = change.value.clone(),
        (Inc, Inc) => add_up(earlier, change)?,
        (Min, Min) => keep(earlier, change, Ordering::Less)?,
        (Max, Max) => keep(earlier, change, Ordering::Greater)?,
        (Push, Push) | (AddToSet, AddToSet) => {
            if let Some(list) = earlier.value.as_array_mut() {
                list.push(change.value.clone());
            }
        }
        _ => return Err(cannot(earlier, change)),
    }
    Ok(())
}

/// The field's value is known by then, so that of the change can be worked out.
fn known(earlier: &mut Change, change: &Change) -> Result<(), SinkError> {
    let document = match earlier.operator {
        Operator::Set => json!({ "v": earlier.value }),
        _ => json!({}),
    };
    let change = Change {
        field: "v".into(),
        ..change.clone()
    };
    let mut after = apply_changes(Some(document), &[change])
        .map_err(|error| record(&format!("field {}: {error}", earlier.field)))?;
    earlier.operator = Operator::Set;
    earlier.value = after["v"].take();
    Ok(())
}

fn add_up(earlier: &mut Change, change: &Change) -> Result<(), SinkError> {
    let amounts = earlier.value.as_i64().zip(change.value.as_i64());
    let sum = amounts.and_then(|(one, other)| one.checked_add(other));
    let sum = sum.ok_or_else(|| {
        record(&format!(
            "Inc on field {} leaves the range of a 64-bit integer",
            change.field
        ))
    })?;
    earlier.value = sum.into();
    Ok(())
}

fn keep(earlier: &mut Change, change: &Change, wanted: Ordering) -> Result<(), SinkError> {
    let order = compare(&change.value, &earlier.value);
    if order.ok_or_else(|| cannot(earlier, change))? == wanted {
        earlier.value = change.value.clone();
    }
    Ok(())
}

fn cannot(earlier: &Change, change: &Change) -> SinkError {
    record(&format!(
        "{:?} on field {} follows {:?} on field {}, which the store does at once: legal is one of \
         the two",
        change.operator, change.field, earlier.operator, earlier.field
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const OPERATORS: [Operator; 8] = [
        Operator::Set,
        Operator::SetOnInsert,
        Operator::Inc,
        Operator::Min,
        Operator::Max,
        Operator::Push,
        Operator::AddToSet,
        Operator::Unset,
    ];

    fn change(field: &str, operator: Operator, value: Value) -> Change {
        Change {
            field: Arc::from(field),
            operator,
            value,
        }
    }

    #[test]
    fn what_follows_a_value_that_is_known_is_worked_out() {
        let folded = fold(&[
            change("a", Operator::Inc, json!(9)),
            change("a", Operator::Set, json!(1)),
            change("a", Operator::Inc, json!(2)),
            change("b.c", Operator::Push, json!(1)),
            change("b.c", Operator::Push, json!(2)),
        ]);
        let expected = [
            change("a", Operator::Set, json!(3)),
            change("b.c", Operator::Push, json!([1, 2])),
        ];
        assert_eq!(folded.expect("foldable"), expected);
    }

    #[test]
    fn what_cannot_be_worked_out_is_refused_by_name() {
        let refused = fold(&[
            change("a", Operator::Inc, json!(1)),
            change("a.b", Operator::Set, json!(1)),
        ]);
        let error = refused.expect_err("a runs through a.b").to_string();
        assert!(
            error.contains("Set on field a.b follows Inc on field a"),
            "{error}"
        );
        let sum = fold(&[
            change("a", Operator::Inc, json!(i64::MAX)),
            change("a", Operator::Inc, json!(1)),
        ]);
        assert!(sum.is_err());
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let field = prop::sample::select(vec!["a", "b", "a.x", "ab"]);
        let operator = prop::sample::select(OPERATORS.to_vec());
        (field, operator, -2..3_i64).prop_map(|(f, o, v)| change(f, o, json!(v)))
    }

    /// What the store does: every operator on its own field, in whatever order.
    fn at_once(document: Option<Value>, folded: &[Change]) -> Option<Value> {
        let one_by_one: Vec<_> = folded
            .iter()
            .rev()
            .flat_map(|folded| match folded.operator {
                Operator::Push | Operator::AddToSet => {
                    let list = folded.value.as_array().expect("a list");
                    let each =
                        |value: &Value| change(&folded.field, folded.operator, value.clone());
                    list.iter().map(each).collect()
                }
                _ => vec![folded.clone()],
            })
            .collect();
        apply_changes(document, &one_by_one).ok()
    }

    /// Without empty objects: a way to a field that was removed again may remain or not.
    fn pruned(value: Value) -> Value {
        let Value::Object(fields) = value else {
            return value;
        };
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name, pruned(value)));
        Value::Object(fields.filter(|(_, value)| *value != json!({})).collect())
    }

    proptest! {
        #[test]
        fn folded_changes_do_the_same_in_any_order(
            changes in prop::collection::vec(any_change(), 0..5),
            exists in any::<bool>(),
        ) {
            let document = exists.then(|| json!({ "a": 1, "b": [1] }));
            let Ok(folded) = fold(&changes) else {
                return Ok(());
            };
            // A refusal in between may be overwritten by what follows.
            if let Ok(expected) = apply_changes(document.clone(), &changes) {
                let at_once = at_once(document, &folded).map(pruned);
                prop_assert_eq!(at_once, Some(pruned(expected)));
            }
        }
    }
}
