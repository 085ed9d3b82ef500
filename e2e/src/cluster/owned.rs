//! The part of an object that one field manager owns, cut out by what the API server recorded.
//! Layer: core

use serde_json::{Map, Value};

/// Exactly the fields of `object` that `manager` applied; `null` when it applied none.
pub(crate) fn owned(object: &Value, manager: &str) -> Value {
    let none = Vec::new();
    let managers = object.pointer("/metadata/managedFields");
    let managers = managers.and_then(Value::as_array).unwrap_or(&none);
    let applied = managers
        .iter()
        .filter(|entry| entry["manager"] == manager && entry["operation"] == "Apply")
        .filter_map(|entry| entry["fieldsV1"].as_object());
    applied.fold(Value::Null, |sum, fields| merge(sum, cut(object, fields)))
}

/// `fields` names members as `f:NAME`, items of keyed lists as `k:{...}`, items of sets as `v:...`;
/// an empty object means the whole of what is there.
fn cut(value: &Value, fields: &Map<String, Value>) -> Value {
    if fields.keys().all(|field| field == ".") {
        return match (value, fields.is_empty()) {
            // The list or object itself is owned, but nothing in it.
            (Value::Object(_), false) => Value::Object(Map::new()),
            (Value::Array(_), false) => Value::Array(Vec::new()),
            _ => value.clone(),
        };
    }
    match value {
        Value::Object(members) => {
            let member = |(field, below): (&String, &Value)| {
                let name = field.strip_prefix("f:")?;
                let kept = cut(members.get(name)?, below.as_object()?);
                Some((name.to_owned(), kept))
            };
            Value::Object(fields.iter().filter_map(member).collect())
        }
        Value::Array(items) => {
            let item = |(field, below): (&String, &Value)| {
                if let Some(value) = field.strip_prefix("v:") {
                    return serde_json::from_str(value).ok();
                }
                let key: Map<String, Value> =
                    serde_json::from_str(field.strip_prefix("k:")?).ok()?;
                let matches = |item: &&Value| key.iter().all(|(name, value)| item[name] == *value);
                Some(cut(items.iter().find(matches)?, below.as_object()?))
            };
            Value::Array(fields.iter().filter_map(item).collect())
        }
        scalar => scalar.clone(),
    }
}

fn merge(left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            for (name, value) in right {
                let before = left.remove(&name).unwrap_or(Value::Null);
                left.insert(name, merge(before, value));
            }
            Value::Object(left)
        }
        (left, Value::Null) => left,
        (_, right) => right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_manager_applied_is_left() {
        let object = json!({
            "metadata": {
                "name": "x",
                "labels": {"mine": "1", "yours": "2"},
                "managedFields": [
                    {"manager": "me", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:mine": {}}},
                        "f:spec": {
                            "f:replicas": {},
                            "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}}},
                            "f:set": {"v:\"one\"": {}},
                            "f:empty": {".": {}},
                        },
                    }},
                    {"manager": "me", "operation": "Update", "fieldsV1": {"f:status": {}}},
                    {"manager": "you", "operation": "Apply", "fieldsV1": {"f:other": {}}},
                ],
            },
            "spec": {
                "replicas": 2,
                "containers": [{"name": "b"}, {"name": "a", "image": "i", "tty": true}],
                "set": ["two", "one"],
                "empty": {"defaulted": 1},
            },
            "status": {},
            "other": 1,
        });
        let expected = json!({
            "metadata": {"labels": {"mine": "1"}},
            "spec": {
                "replicas": 2,
                "containers": [{"name": "a", "image": "i"}],
                "set": ["one"],
                "empty": {},
            },
        });
        assert_eq!(owned(&object, "me"), expected);
        assert_eq!(owned(&object, "nobody"), Value::Null);
    }
}
