//! From the JSON schema of a type to the structural schema that Kubernetes asks for.
//! Layer: core

use serde_json::{Map, Value, json};

/// Words that Kubernetes refuses or that say nothing to it; unknown fields are its own business.
const DROPPED: [&str; 6] = ["$schema", "$defs", "title", "format", "default", "$ref"];

/// Lists whose entries are told apart by one field, which makes it unique.
const LIST_MAPS: [(&str, &str); 9] = [
    ("spec.source.topics", "name"),
    ("spec.stages", "name"),
    ("spec.sinks", "name"),
    ("spec.stages[].count.amounts", "field"),
    ("spec.stages[].set.fields", "name"),
    ("spec.stages[].produce.headers", "name"),
    ("spec.stages[].http.headers", "name"),
    ("spec.pod.imagePullSecrets", "name"),
    ("status.conditions", "type"),
];

/// The structural form of a schema: references put in place, every node with one type.
pub(super) fn structural(schema: &Value) -> Value {
    node(schema, &schema["$defs"])
}

/// Says which lists are maps.
pub(super) fn list_maps(schema: &mut Value) {
    for (path, key) in LIST_MAPS {
        let list = at(schema, path);
        list["x-kubernetes-list-type"] = json!("map");
        list["x-kubernetes-list-map-keys"] = json!([key]);
    }
}

/// The node of a field; `[]` stands for the entries of a list, nothing for the whole object.
///
/// # Panics
/// When there is no such field: the tables of this module name those of the types, and a test
/// builds the definition.
pub(super) fn at<'a>(schema: &'a mut Value, path: &str) -> &'a mut Value {
    let steps = path.split('.').filter(|step| !step.is_empty());
    let pointer = steps
        .map(|step| match step.strip_suffix("[]") {
            Some(list) => format!("/properties/{list}/items"),
            None => format!("/properties/{step}"),
        })
        .collect::<String>();
    let node = schema.pointer_mut(&pointer);
    node.expect("the tables name fields of the types")
}

/// Lets optional fields be null: the operator writes what it does not know as null.
pub(super) fn nullable(schema: &mut Value) {
    let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if !required.contains(&json!(name)) {
            field["nullable"] = json!(true);
        }
        nullable(field);
    }
    if let Some(items) = schema.get_mut("items") {
        nullable(items);
    }
}

fn node(schema: &Value, definitions: &Value) -> Value {
    let described = schema.get("description");
    let mut out = match resolved(schema, definitions) {
        Some(target) => node(target, definitions),
        None => own(schema, definitions),
    };
    if let Some(text) = described.and_then(Value::as_str) {
        out["description"] = Value::String(text.replace('\n', " "));
    }
    out
}

/// Where a reference or an optional reference leads.
fn resolved<'a>(schema: &'a Value, definitions: &'a Value) -> Option<&'a Value> {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return None;
    }
    let optional = schema.get("anyOf").and_then(Value::as_array);
    let real = optional.and_then(|choices| choices.iter().find(|own| own["type"] != "null"));
    if real.is_some() {
        return real;
    }
    let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    definitions.get(name)
}

fn own(schema: &Value, definitions: &Value) -> Value {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return json!({"x-kubernetes-int-or-string": true, "maxLength": 40});
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        return choice(choices);
    }
    let Some(fields) = schema.as_object().filter(|own| own.contains_key("type")) else {
        return json!({"x-kubernetes-preserve-unknown-fields": true});
    };
    let mut out = Map::new();
    for (word, value) in fields
        .iter()
        .filter(|(word, _)| !DROPPED.contains(&word.as_str()))
    {
        match word.as_str() {
            "type" => out.insert(word.clone(), one_type(value)),
            "items" => out.insert(word.clone(), node(value, definitions)),
            "properties" => out.insert(word.clone(), properties(value, definitions)),
            "additionalProperties" if value.is_boolean() => None,
            _ => out.insert(word.clone(), value.clone()),
        };
    }
    Value::Object(out)
}

fn properties(fields: &Value, definitions: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    fields
        .map(|(name, field)| (name.clone(), node(field, definitions)))
        .collect::<Map<_, _>>()
        .into()
}

fn one_type(types: &Value) -> Value {
    let several = types.as_array().into_iter().flatten();
    let real = several.into_iter().find(|kind| *kind != "null");
    real.unwrap_or(types).clone()
}

/// An enum of words, or of words and an object of one field. The latter has no structural type;
/// what is neither is refused by bounds that no other kind of value can meet.
fn choice(choices: &[Value]) -> Value {
    let words: Vec<_> = choices.iter().filter_map(|own| own.get("const")).collect();
    let objects = choices.iter().filter_map(|own| own.get("required"));
    let objects: Vec<_> = objects
        .map(|required| {
            json!({
                "required": required, "maxProperties": 1,
                "minLength": 1, "maxLength": 0,
                "minimum": 1, "maximum": 0,
                "minItems": 1, "maxItems": 0,
                "not": {"enum": [true, false]},
            })
        })
        .collect();
    if objects.is_empty() {
        return json!({"type": "string", "enum": words});
    }
    let mut legal = vec![json!({"enum": words})];
    legal.extend(objects);
    json!({"x-kubernetes-preserve-unknown-fields": true, "anyOf": legal})
}
