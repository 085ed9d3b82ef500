//! Whether an object holds everything that is wished of it.
//! Layer: core

use serde_json::Value;

/// Whether `actual` has each field of `wished` with its value. What the API server or somebody
/// else added beside it does not count: those fields are not ours.
#[must_use]
pub fn covers(actual: &Value, wished: &Value) -> bool {
    match (actual, wished) {
        (Value::Object(actual), Value::Object(wished)) => wished.iter().all(|(name, wished)| {
            let actual = actual.get(name);
            actual.map_or_else(|| is_empty(wished), |actual| covers(actual, wished))
        }),
        (Value::Array(actual), Value::Array(wished)) => {
            actual.len() == wished.len()
                && actual
                    .iter()
                    .zip(wished)
                    .all(|(actual, wished)| covers(actual, wished))
        }
        _ => actual == wished,
    }
}

/// The API server leaves out what is empty.
fn is_empty(wished: &Value) -> bool {
    match wished {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_beside_our_fields_do_not_count() {
        let actual = json!({"a": 1, "list": [{"x": 1, "defaulted": true}], "more": {}});
        assert!(covers(&actual, &json!({"a": 1, "list": [{"x": 1}]})));
        assert!(covers(
            &actual,
            &json!({"empty": {}, "none": null, "nothing": []})
        ));
    }

    #[test]
    fn a_changed_missing_or_added_item_counts() {
        let actual = json!({"a": 1, "list": [{"x": 1}]});
        for wished in [
            json!({"a": 2}),
            json!({"b": 1}),
            json!({"list": [{"x": 2}]}),
            json!({"list": []}),
            json!({"list": [{"x": 1}, {"x": 2}]}),
            json!({"a": "1"}),
        ] {
            assert!(!covers(&actual, &wished), "{wished}");
        }
    }
}
