//! YAML or JSON text as a tree, with the line of every field and every doubled field found.
//! Layer: core

use std::{collections::HashMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use crate::fault::Collector;

/// Longest text, bytes; etcd would not take a larger object either.
pub(crate) const MAX_TEXT_BYTES: usize = 1_000_000;

/// A text as a tree.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The tree; `None` when the text does not parse.
    pub(crate) tree: Option<Value>,
    lines: HashMap<String, u64>,
}

impl Document {
    /// Reads a text. A doubled field keeps its first value and becomes a fault.
    pub(crate) fn read(text: &str, faults: &mut Collector) -> Self {
        if text.len() > MAX_TEXT_BYTES {
            faults.add(
                "",
                format!("{} bytes of text: at most {MAX_TEXT_BYTES}", text.len()),
            );
            return Self::default();
        }
        let mut reading = Reading {
            faults,
            lines: HashMap::new(),
        };
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
        let tree = serde_saphyr::with_deserializer_from_str_with_options(text, options, |de| {
            Node {
                reading: &mut reading,
                path: String::new(),
            }
            .deserialize(de)
        });
        let tree = match tree {
            Ok(tree) => Some(tree),
            Err(error) => {
                reading.faults.add("", unreadable(&error));
                None
            }
        };
        Self {
            tree,
            lines: reading.lines,
        }
    }

    /// Line of a field, or of the nearest one above it.
    pub(crate) fn line(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

fn unreadable(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::MultipleDocuments { location, .. } => {
            format!(
                "a second document begins on line {}: one object is needed",
                location.line()
            )
        }
        other => format!("not readable as YAML: {}", other.without_snippet()),
    }
}

/// `path.field`
pub(crate) fn below(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

struct Reading<'a> {
    faults: &'a mut Collector,
    lines: HashMap<String, u64>,
}

struct Node<'a, 'b> {
    reading: &'a mut Reading<'b>,
    path: String,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, text, a number, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    /// `1e3` is a whole number, as it is for Kubernetes.
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let text = value.to_string();
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(whole.into());
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, values.len());
            match list.next_element_seed(Node {
                reading: &mut *self.reading,
                path,
            })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let path = below(&self.path, &key.value);
            let line = key.referenced.line();
            self.reading.lines.entry(self.path.clone()).or_insert(line);
            if let Some(first) = self.reading.lines.get(&path) {
                let message = format!("given twice, on lines {first} and {line}: keep one");
                self.reading.faults.add(path, message);
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            self.reading.lines.insert(path.clone(), line);
            let value = map.next_value_seed(Node {
                reading: &mut *self.reading,
                path,
            })?;
            fields.insert(key.value, value);
        }
        Ok(Value::Object(fields))
    }
}
