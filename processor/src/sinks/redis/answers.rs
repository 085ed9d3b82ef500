//! The server's values as what they must be; anything else spoils the connection.
//! Layer: shell

use redis::Value;

use super::{
    blame::{Complaint, Fault, blame},
    scripts::Answer,
};
use crate::sinks::flush_target::Counters;

/// One step of a scan.
pub(super) struct Scanned {
    /// Where to go on; 0 is the end.
    pub(super) cursor: u64,
    /// What was found, perhaps once more.
    pub(super) members: Vec<String>,
}

/// A counter as it is read: its fields, or nothing when it is gone.
pub(super) type Read = Option<Counters>;

fn foreign() -> Fault {
    blame(&Complaint::Protocol)
}

/// A text.
pub(super) fn text(value: Value) -> Result<String, Fault> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| foreign()),
        Value::SimpleString(text) => Ok(text),
        Value::Okay => Ok("OK".to_owned()),
        _ => Err(foreign()),
    }
}

/// An answer of a script that changes something.
pub(super) fn answer(value: Value) -> Result<Answer, Fault> {
    Answer::parse(&text(value)?).ok_or_else(foreign)
}

/// A number that is not negative.
pub(super) fn number(value: Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(number).map_err(|_| foreign()),
        other => text(other)?.parse().map_err(|_| foreign()),
    }
}

/// An answer of `SSCAN`.
pub(super) fn scanned(value: Value) -> Result<Scanned, Fault> {
    let [cursor, members] = <[Value; 2]>::try_from(list(value)?).map_err(|_| foreign())?;
    Ok(Scanned {
        cursor: number(cursor)?,
        members: list(members)?
            .into_iter()
            .map(text)
            .collect::<Result<_, _>>()?,
    })
}

/// An answer of the script that reads counters.
pub(super) fn counters(value: Value) -> Result<Vec<Read>, Fault> {
    list(value)?.into_iter().map(counter).collect()
}

fn counter(value: Value) -> Result<Read, Fault> {
    let mut parts = list(value)?.into_iter();
    let (mut counters, mut found) = (Counters::default(), false);
    while let (Some(field), Some(value)) = (parts.next(), parts.next()) {
        found = true;
        let (field, value) = (text(field)?, text(value)?);
        if field.is_empty() {
            counters.version = value.parse().map_err(|_| foreign())?;
        } else {
            let value = value.parse().map_err(|_| foreign())?;
            counters.fields.push((field.into(), value));
        }
    }
    Ok(found.then_some(counters))
}

fn list(value: Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        _ => Err(foreign()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_counter_is_its_version_and_its_fields() {
        let whole = ["views", "7", "", "3", "cents", "-9223372036854775808"].map(bulk);
        let read = Value::Array(vec![Value::Array(whole.to_vec()), Value::Array(Vec::new())]);
        let fields = vec![("views".into(), 7), ("cents".into(), i64::MIN)];
        let counters_read = counters(read).expect("counters");
        assert_eq!(counters_read, [Some(Counters { fields, version: 3 }), None]);
    }

    #[test]
    fn what_is_no_answer_breaks_the_connection() {
        let odd = [
            Value::Nil,
            Value::Int(-1),
            bulk("PONG"),
            Value::Array(vec![bulk("a")]),
            Value::BulkString(vec![0xff]),
        ];
        for value in odd {
            let faults = [
                answer(value.clone()).err(),
                number(value.clone()).err(),
                scanned(value.clone()).map(drop).err(),
                counter(Value::Array(vec![bulk("views"), value])).err(),
            ];
            for fault in faults {
                assert!(fault.is_some_and(|fault| fault.breaks()));
            }
        }
    }
}
