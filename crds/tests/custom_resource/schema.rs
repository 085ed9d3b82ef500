//! Checks an object against a structural schema, as the API server does before any rule.
//! Layer: test

use std::collections::BTreeSet;

use serde_json::Value;

/// Paths and messages of everything that does not fit.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    node(schema, "", value, &mut all);
    all
}

fn node(schema: &Value, path: &str, value: &Value, all: &mut Vec<String>) {
    let number = |word: &str| schema[word].as_i64();
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() {
            all.push(format!("{path}: not an integer or text"));
        }
    } else if let Some(kind) = schema["type"].as_str()
        && !is(kind, value)
    {
        all.push(format!("{path}: must be of type {kind}"));
        return;
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| {
            let mut own = Vec::new();
            node(choice, path, value, &mut own);
            own.is_empty()
        });
        if !fits {
            all.push(format!("{path}: no choice fits"));
        }
    }
    if let Some(legal) = schema["enum"].as_array()
        && !legal.contains(value)
    {
        all.push(format!("{path}: Unsupported value"));
    }
    if let Some(refused) = schema["not"]["enum"].as_array()
        && refused.contains(value)
    {
        all.push(format!("{path}: is refused"));
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems")),
        Value::Object(fields) => Some((fields.len(), "minProperties", "maxProperties")),
        _ => None,
    };
    if let Some((size, least, most)) = size {
        let size = i64::try_from(size).expect("small");
        if number(least).is_some_and(|least| size < least)
            || number(most).is_some_and(|most| size > most)
        {
            all.push(format!("{path}: {size} is no legal size"));
        }
    }
    if let Some(value) = value.as_i64()
        && (number("minimum").is_some_and(|least| value < least)
            || number("maximum").is_some_and(|most| value > most))
    {
        all.push(format!("{path}: {value} is out of range"));
    }
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().expect("a name");
                if !fields.contains_key(name) {
                    all.push(format!("{path}.{name}: Required value"));
                }
            }
            for (name, own) in fields {
                let below = format!("{path}.{name}");
                let known = schema["properties"].get(name);
                match known.or_else(|| schema.get("additionalProperties")) {
                    Some(schema) => node(schema, &below, own, all),
                    // kubectl asks for strict reading
                    None if schema.get("properties").is_some() => {
                        all.push(format!("{below}: unknown field"));
                    }
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (at, own) in items.iter().enumerate() {
                node(&schema["items"], &format!("{path}[{at}]"), own, all);
            }
            unique(schema, path, items, all);
        }
        _ => {}
    }
}

fn unique(schema: &Value, path: &str, items: &[Value], all: &mut Vec<String>) {
    let Some(key) = schema["x-kubernetes-list-map-keys"][0].as_str() else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (at, own) in items.iter().enumerate() {
        if !seen.insert(own[key].to_string()) {
            all.push(format!("{path}[{at}]: Duplicate value"));
        }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}
