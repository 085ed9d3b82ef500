//! Compares a tree with the object's schema and reports every field that does not fit.
//! Layer: core
//!
//! The schema is the one generated from the types, so nothing is said twice. Unknown fields are
//! taken out of the tree, so that the rest can still be judged.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{document::below, fault::Collector, names::shown};

/// Checks a tree against a schema.
pub(crate) fn check(schema: &Value, path: &str, tree: &mut Value, faults: &mut Collector) {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    Walk {
        definitions: &definitions,
        faults,
    }
    .node(schema, path, tree);
}

struct Walk<'a> {
    definitions: &'a Value,
    faults: &'a mut Collector,
}

impl<'a> Walk<'a> {
    fn node(&mut self, schema: &'a Value, path: &str, tree: &mut Value) {
        let schema = self.resolve(schema);
        if schema.get("x-kubernetes-int-or-string").is_some() {
            return self.quantity(path, tree);
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            return self.optional(choices, path, tree);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            return self.choice(choices, path, tree);
        }
        if schema.get("enum").is_some() || schema.get("const").is_some() {
            return self.choice(std::slice::from_ref(schema), path, tree);
        }
        let Some(types) = types(schema) else { return };
        if !types.iter().any(|kind| is(kind, tree)) {
            let legal = types
                .iter()
                .copied()
                .filter(|kind| *kind != "null")
                .map(word);
            let legal = legal.collect::<Vec<_>>().join(" or ");
            return self
                .faults
                .add(path, format!("{} where {legal} is needed", found(tree)));
        }
        match tree {
            Value::Object(fields) => self.object(schema, path, fields),
            Value::Array(items) => self.list(schema, path, items),
            Value::Number(_) => self.range(schema, path, tree),
            _ => {}
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions.get(name))
            .unwrap_or(schema)
    }

    fn quantity(&mut self, path: &str, tree: &Value) {
        let quote = if tree.is_number() { ": quote it" } else { "" };
        if !tree.is_string() && !tree.is_i64() {
            let message = format!(
                "{} where a quantity such as 256Mi is needed{quote}",
                found(tree)
            );
            self.faults.add(path, message);
        }
    }

    /// `Option<T>` of a type with a definition of its own.
    fn optional(&mut self, choices: &'a [Value], path: &str, tree: &mut Value) {
        if tree.is_null() {
            return;
        }
        let real = choices
            .iter()
            .find(|choice| choice.get("type") != Some(&"null".into()));
        if let Some(real) = real {
            self.node(real, path, tree);
        }
    }

    /// An enum: fixed texts, or an object of one field.
    fn choice(&mut self, choices: &'a [Value], path: &str, tree: &mut Value) {
        if choices.iter().flat_map(texts).any(|text| text == tree) {
            return;
        }
        if let Value::Object(fields) = &*tree {
            let fits = |choice: &&Value| {
                properties(choice).is_some_and(|own| fields.keys().any(|k| own.contains_key(k)))
            };
            if let Some(choice) = choices.iter().find(fits) {
                return self.node(choice, path, tree);
            }
        }
        let texts = choices
            .iter()
            .flat_map(texts)
            .filter_map(Value::as_str)
            .map(str::to_owned);
        let objects = choices.iter().filter_map(properties).flat_map(Map::keys);
        let legal = texts
            .chain(objects.map(|key| format!("{{{key}: …}}")))
            .collect::<Vec<_>>();
        self.faults.add(
            path,
            format!("{} is not legal: {}", found(tree), legal.join(", ")),
        );
    }

    fn object(&mut self, schema: &'a Value, path: &str, fields: &mut Map<String, Value>) {
        let Some(known) = properties(schema) else {
            return self.map(schema, path, fields);
        };
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            self.unknown(known, path, fields);
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for name in required.filter_map(Value::as_str) {
            if fields.get(name).is_none_or(Value::is_null) {
                let meaning = known.get(name).and_then(|own| own.get("description"));
                let meaning = meaning.and_then(Value::as_str).unwrap_or_default();
                self.faults.add(
                    below(path, name),
                    format!("missing, and required: {meaning}"),
                );
            }
        }
        for (name, value) in fields.iter_mut().filter(|(_, value)| !value.is_null()) {
            if let Some(own) = known.get(name) {
                self.node(own, &below(path, name), value);
            }
        }
        fields.retain(|_, value| !value.is_null());
    }

    /// Free keys, such as labels.
    fn map(&mut self, schema: &'a Value, path: &str, fields: &mut Map<String, Value>) {
        let most = schema.get("maxProperties").and_then(Value::as_u64);
        let count = fields.len() as u64;
        if let Some(most) = most.filter(|most| count > *most) {
            self.faults
                .add(path, format!("{count} entries: at most {most} are legal"));
        }
        if let Some(value) = schema.get("additionalProperties") {
            for (key, own) in fields.iter_mut() {
                self.node(value, &below(path, key), own);
            }
        }
    }

    fn unknown(&mut self, known: &Map<String, Value>, path: &str, fields: &mut Map<String, Value>) {
        let legal = known.keys().map(String::as_str).collect::<BTreeSet<_>>();
        let legal = legal.into_iter().collect::<Vec<_>>().join(", ");
        fields.retain(|name, _| {
            let is_known = known.contains_key(name);
            if !is_known {
                self.faults.add(
                    below(path, name),
                    format!("unknown field: legal are {legal}"),
                );
            }
            is_known
        });
    }

    fn list(&mut self, schema: &'a Value, path: &str, items: &mut [Value]) {
        let bound = |name| schema.get(name).and_then(Value::as_u64);
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems"));
        let count = items.len() as u64;
        if count < least || most.is_some_and(|most| count > most) {
            let most = most.map_or_else(|| "more".to_owned(), |most| most.to_string());
            self.faults.add(
                path,
                format!("{count} entries: {least} to {most} are legal"),
            );
        }
        let Some(item) = schema.get("items") else {
            return;
        };
        for (at, value) in items.iter_mut().enumerate() {
            self.node(item, &format!("{path}[{at}]"), value);
        }
    }

    fn range(&mut self, schema: &Value, path: &str, tree: &Value) {
        let bound = |name| schema.get(name).and_then(Value::as_i64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let value = tree.as_i64().map_or(i128::from(i64::MAX) + 1, i128::from);
        let low = least.is_some_and(|least| value < i128::from(least));
        let high = most.is_some_and(|most| value > i128::from(most));
        if low || high {
            let least = least.map_or_else(|| "any".to_owned(), |least| least.to_string());
            let most = most.map_or_else(|| "any".to_owned(), |most| most.to_string());
            self.faults.add(
                path,
                format!("{tree} is out of range: {least} to {most} is legal"),
            );
        }
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn texts(choice: &Value) -> impl Iterator<Item = &Value> {
    let several = choice
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    choice.get("const").into_iter().chain(several)
}

fn types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn is(kind: &str, tree: &Value) -> bool {
    match kind {
        "object" => tree.is_object(),
        "array" => tree.is_array(),
        "string" => tree.is_string(),
        "integer" => tree.is_i64() || tree.is_u64(),
        "boolean" => tree.is_boolean(),
        "null" => tree.is_null(),
        _ => true,
    }
}

fn word(kind: &str) -> &str {
    match kind {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        other => other,
    }
}

/// The value for a message; text is quoted, so that `"1"` and `1` differ.
fn found(tree: &Value) -> String {
    match tree {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text {}", shown(text)),
        Value::Number(number) => format!("the number {number}"),
        other => other.to_string(),
    }
}
