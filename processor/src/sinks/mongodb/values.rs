//! JSON as BSON and back.
//! Layer: core

use bson::{Bson, Document};
use serde_json::{Map, Number, Value};

use crate::sinks::SinkError;

/// A JSON value as BSON: integers have 64 bits, everything else is what it looks like.
pub(super) fn to_bson(value: &Value) -> Result<Bson, SinkError> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(*flag),
        Value::Number(number) => number_to_bson(number)?,
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(to_bson).collect::<Result<_, _>>()?),
        Value::Object(fields) => Bson::Document(to_document(fields)?),
    })
}

/// A JSON object as a document.
pub(super) fn to_document(fields: &Map<String, Value>) -> Result<Document, SinkError> {
    let mut document = Document::new();
    for (name, value) in fields {
        if name.contains('\0') {
            return Err(record("a field name has a zero byte"));
        }
        document.insert(name, to_bson(value)?);
    }
    Ok(document)
}

fn number_to_bson(number: &Number) -> Result<Bson, SinkError> {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Ok(Bson::Int64(integer)),
        (None, Some(float)) if number.is_f64() => Ok(Bson::Double(float)),
        // A double would round it.
        (None, _) => Err(record(&format!(
            "an integer is above {}, the largest that the store keeps exactly",
            i64::MAX
        ))),
    }
}

/// A stored value as JSON. Types that JSON does not have become text; what has no text is null.
pub(super) fn to_json(value: Bson) -> Value {
    match value {
        Bson::Double(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        Bson::String(text) | Bson::Symbol(text) => Value::String(text),
        Bson::Array(items) => items.into_iter().map(to_json).collect(),
        Bson::Document(document) => object(document),
        Bson::Boolean(flag) => Value::Bool(flag),
        Bson::Int32(integer) => integer.into(),
        Bson::Int64(integer) => integer.into(),
        Bson::ObjectId(id) => id.to_hex().into(),
        Bson::DateTime(at) => at
            .try_to_rfc3339_string()
            .map_or(Value::Null, Value::String),
        Bson::Decimal128(decimal) => decimal.to_string().into(),
        _ => Value::Null,
    }
}

/// A stored document as a JSON object.
pub(super) fn object(document: Document) -> Value {
    let fields = document.into_iter();
    Value::Object(fields.map(|(name, value)| (name, to_json(value))).collect())
}

pub(super) fn record(reason: &str) -> SinkError {
    SinkError::Record {
        reason: reason.to_owned(),
    }
}

pub(super) fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_store_cannot_keep_is_refused() {
        assert!(to_bson(&json!(u64::MAX)).is_err());
        assert!(to_bson(&json!({"a": [{"b\0": 1}]})).is_err());
        assert_eq!(to_bson(&json!(7)).expect("fits"), Bson::Int64(7));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            "[a-z\"\\\\\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z$.]{1,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_comes_back_as_it_went(value in value()) {
            prop_assert_eq!(to_json(to_bson(&value).expect("fits")), value);
        }
    }
}
