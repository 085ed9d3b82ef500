//! Laws of the upsert operators, and what each refuses.
//! Layer: test

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn change(operator: Operator, field: &str, value: Value) -> Change {
    Change {
        field: Arc::from(field),
        operator,
        value,
    }
}

fn one(document: Value, operator: Operator, field: &str, value: Value) -> String {
    match apply_changes(Some(document), &[change(operator, field, value)]) {
        Ok(document) => document.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn operators_do_what_their_names_say() {
    use Operator::{AddToSet, Inc, Max, Min, Push, Set, SetOnInsert, Unset};
    let cases = [
        (json!({}), Set, "a.b", json!(1), r#"{"a":{"b":1}}"#),
        (json!({"a": 2}), Set, "a", json!(null), r#"{"a":null}"#),
        (json!({"a": 2}), SetOnInsert, "b", json!(1), r#"{"a":2}"#),
        (json!({}), Inc, "a.n", json!(-3), r#"{"a":{"n":-3}}"#),
        (json!({"n": 4}), Inc, "n", json!(-3), r#"{"n":1}"#),
        (json!({"n": 4}), Min, "n", json!(3.5), r#"{"n":3.5}"#),
        (json!({"n": 4}), Max, "n", json!(3.5), r#"{"n":4}"#),
        (json!({"n": "b"}), Max, "n", json!("c"), r#"{"n":"c"}"#),
        (json!({}), Min, "n", json!(7), r#"{"n":7}"#),
        (json!({}), Push, "l", json!(1), r#"{"l":[1]}"#),
        (json!({"l": [1]}), Push, "l", json!(1), r#"{"l":[1,1]}"#),
        (json!({"l": [1]}), AddToSet, "l", json!(1), r#"{"l":[1]}"#),
        (json!({"l": [1]}), AddToSet, "l", json!(2), r#"{"l":[1,2]}"#),
        (
            json!({"a": {"b": 1, "c": 2}}),
            Unset,
            "a.b",
            json!(null),
            r#"{"a":{"c":2}}"#,
        ),
        (json!({"a": 1}), Unset, "x.y", json!(null), r#"{"a":1}"#),
        (json!({"a": 1}), Unset, "a.y", json!(null), r#"{"a":1}"#),
    ];
    for (document, operator, field, value, expected) in cases {
        assert_eq!(
            one(document, operator, field, value),
            expected,
            "{operator:?} {field}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    use Operator::{AddToSet, Inc, Max, Push, Set, Unset};
    let cases = [
        (
            json!({"n": "x"}),
            Inc,
            "n",
            json!(1),
            "Inc on field n meets a string; legal is a 64-bit integer",
        ),
        (
            json!({"n": 1.5}),
            Inc,
            "n",
            json!(1),
            "Inc on field n meets a float; legal is a 64-bit integer",
        ),
        (
            json!({}),
            Inc,
            "n",
            json!(1.0),
            "Inc on field n meets a float; legal is a 64-bit integer",
        ),
        (
            json!({"n": i64::MAX}),
            Inc,
            "n",
            json!(1),
            "Inc on field n leaves the range of a 64-bit integer",
        ),
        (
            json!({"n": [1]}),
            Max,
            "n",
            json!(1),
            "Max on field n meets an array; legal is two numbers or two strings",
        ),
        (
            json!({}),
            Max,
            "n",
            json!(true),
            "Max on field n meets a boolean; legal is two numbers or two strings",
        ),
        (
            json!({"n": 1}),
            Push,
            "n",
            json!(1),
            "Push on field n meets an integer; legal is an array",
        ),
        (
            json!({"n": {}}),
            AddToSet,
            "n",
            json!(1),
            "AddToSet on field n meets an object; legal is an array",
        ),
        (
            json!({"a": 1}),
            Set,
            "a.b",
            json!(1),
            "field a.b runs through an integer; legal is an object",
        ),
        (
            json!({"a": [1]}),
            Set,
            "a.0",
            json!(1),
            "field a.0 runs through an array; legal is an object",
        ),
        (
            json!({}),
            Set,
            "a..b",
            json!(1),
            "field \"a..b\" has an empty step; legal is a.b.c",
        ),
        (
            json!({}),
            Set,
            "",
            json!(1),
            "field \"\" has an empty step; legal is a.b.c",
        ),
        (
            json!({}),
            Unset,
            "a.",
            json!(1),
            "field \"a.\" has an empty step; legal is a.b.c",
        ),
    ];
    for (document, operator, field, value, expected) in cases {
        assert_eq!(one(document, operator, field, value), expected);
    }
}

#[test]
fn a_document_that_could_not_be_read_again_is_refused() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let fits = change(Operator::Push, "a.b", nested(MAX_DEPTH - 3));
    let text = apply_changes(None, &[fits])
        .expect("at the limit")
        .to_string();
    serde_json::from_str::<Value>(&text).expect("the parser reads it");
    let deep = change(Operator::Set, "a.b", nested(MAX_DEPTH - 2));
    let error = apply_changes(None, &[deep]).expect_err("beyond the limit");
    assert_eq!(
        error,
        ChangeError::TooDeep {
            field: "a.b".to_owned()
        }
    );
}

fn fields() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["n", "m", "a.n", "a.b.n"])
}

fn increments() -> impl Strategy<Value = Vec<(&'static str, i64)>> {
    prop::collection::vec((fields(), -1_000_i64..1_000), 0..20)
}

fn apply_all(operator: Operator, values: &[(&str, i64)]) -> Value {
    let changes: Vec<_> = values
        .iter()
        .map(|(f, v)| change(operator, f, json!(v)))
        .collect();
    apply_changes(None, &changes).expect("integers fit")
}

proptest! {
    #[test]
    fn increments_commute_and_sum(mut values in increments(), seed in any::<usize>()) {
        let forward = apply_all(Operator::Inc, &values);
        let total: i64 = values.iter().filter(|(f, _)| *f == "a.b.n").map(|(_, v)| v).sum();
        prop_assert_eq!(forward.pointer("/a/b/n").and_then(Value::as_i64).unwrap_or(0), total);
        let middle = seed % values.len().max(1);
        values.rotate_left(middle);
        prop_assert_eq!(forward, apply_all(Operator::Inc, &values));
    }

    #[test]
    fn min_max_set_and_add_to_set_are_idempotent(values in increments()) {
        use Operator::{AddToSet, Max, Min, Set};
        for operator in [Set, Min, Max, AddToSet] {
            let changes: Vec<_> =
                values.last().iter().map(|(f, v)| change(operator, f, json!(v))).collect();
            let once = apply_changes(None, &changes).expect("integers fit");
            let twice = apply_changes(Some(once.clone()), &changes).expect("integers fit");
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn min_and_max_are_the_extremes(values in prop::collection::vec(any::<i64>(), 1..20)) {
        let of = |operator| {
            let values: Vec<_> = values.iter().map(|v| ("n", *v)).collect();
            apply_all(operator, &values)["n"].as_i64()
        };
        prop_assert_eq!(of(Operator::Min), values.iter().min().copied());
        prop_assert_eq!(of(Operator::Max), values.iter().max().copied());
    }
}
