//! Who is to blame for a write that failed, by the server's code.
//! Layer: core

use bson::Document;

use super::values::{record, unavailable};
use crate::sinks::SinkError;

/// Code of a key that is there already.
const DUPLICATE_KEY: i32 = 11_000;

/// What a failed statement comes from.
#[derive(Debug)]
pub(super) enum Blame {
    /// The id exists: applied before, or created meanwhile by somebody else.
    Exists,
    /// The record.
    Record(SinkError),
    /// The server.
    Sink(SinkError),
}

/// Codes that a statement earns by what is in it.
const RECORD: [(i32, &str); 22] = [
    (2, "BadValue"),
    (9, "FailedToParse"),
    (14, "TypeMismatch"),
    (15, "Overflow"),
    (16, "InvalidLength"),
    (22, "InvalidBSON"),
    (28, "PathNotViable"),
    (40, "ConflictingUpdateOperators"),
    (52, "DollarPrefixedFieldName"),
    (54, "NotSingleValueField"),
    (56, "EmptyFieldName"),
    (57, "DottedFieldName"),
    (66, "ImmutableField"),
    (73, "InvalidNamespace"),
    (121, "DocumentValidationFailure"),
    (10_003, "CannotGrowDocumentInCappedNamespace"),
    (10_141, "CannotApplyModifier"),
    (10_334, "BSONObjectTooLarge"),
    (16_837, "FieldOfOtherKind"),
    (17_280, "KeyTooLong"),
    (17_419, "ResultTooLarge"),
    (17_420, "ResultTooLarge"),
];

/// Judges a code. What is not known to be the record's fault is the server's, so that no record
/// becomes a dead letter for an outage. The message may quote the document and is only looked at.
pub(super) fn blame(code: i32, message: &str) -> Blame {
    if code == DUPLICATE_KEY {
        return match message.contains("_id_") || message.contains("_id:") {
            true => Blame::Exists,
            false => Blame::Record(record("another document has a value that is to be unique")),
        };
    }
    match RECORD.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => Blame::Record(record(&format!("write error {code} {name}"))),
        None => Blame::Sink(unavailable(&format!("write error {code}"))),
    }
}

/// What an `update` or `insert` says about its statements.
#[derive(Debug)]
pub(super) struct Outcome {
    /// `None` is done.
    pub(super) each: Vec<Option<Blame>>,
    /// Done, but not yet on a majority.
    pub(super) weak: Option<SinkError>,
}

/// Reads the answer to a command of `count` statements.
pub(super) fn outcome(answer: &Document, count: usize) -> Outcome {
    let mut each: Vec<_> = std::iter::repeat_with(|| None).take(count).collect();
    for error in documents(answer, "writeErrors") {
        let code = number(error, "code").unwrap_or(0);
        let message = error.get_str("errmsg").unwrap_or_default();
        let place = number(error, "index").and_then(|at| usize::try_from(at).ok());
        if let Some(place) = place.and_then(|at| each.get_mut(at)) {
            *place = Some(blame(code, message));
        }
    }
    let weak = answer.get_document("writeConcernError").ok().map(|error| {
        let code = number(error, "code").unwrap_or(0);
        unavailable(&format!("not on a majority: write concern error {code}"))
    });
    Outcome { each, weak }
}

fn documents<'a>(answer: &'a Document, field: &str) -> impl Iterator<Item = &'a Document> {
    let list = answer.get_array(field).ok().into_iter().flatten();
    list.filter_map(|item| item.as_document())
}

/// Servers send the same numbers in different types.
fn number(document: &Document, field: &str) -> Option<i32> {
    let value = document.get(field)?;
    let wide = value.as_i32().map(i64::from).or(value.as_i64());
    i32::try_from(wide?).ok()
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn word(code: i32, message: &str) -> &'static str {
        match blame(code, message) {
            Blame::Exists => "exists",
            Blame::Record(SinkError::Record { .. }) => "record",
            Blame::Sink(SinkError::Unavailable { .. }) => "sink",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_the_record_causes_is_blamed_on_it() {
        let id = "E11000 duplicate key error collection: s.c index: _id_ dup key: { _id: \"1\" }";
        let other = "E11000 duplicate key error collection: s.c index: mail_1 dup key: { mail: 1 }";
        assert_eq!(word(11_000, id), "exists");
        assert_eq!(word(11_000, other), "record");
        for (code, _) in RECORD {
            assert_eq!(word(code, ""), "record", "{code}");
        }
        // unauthorized, not primary, shutting down, stepped down, time limit, disk full, unknown
        for code in [13, 10_107, 91, 189, 50, 11_600, 14_031, 0, 8, 20_000] {
            assert_eq!(word(code, ""), "sink", "{code}");
        }
    }

    #[test]
    fn errors_find_their_statements() {
        let answer = doc! {
            "ok": 1.0, "n": 1,
            "writeErrors": [
                { "index": 2, "code": 121_i64, "errmsg": "" },
                { "index": 0, "code": 11_000, "errmsg": "index: _id_" },
                { "index": 9, "code": 1, "errmsg": "of nobody" },
            ],
        };
        let Outcome { each, weak } = outcome(&answer, 3);
        assert!(matches!(
            each[..],
            [Some(Blame::Exists), None, Some(Blame::Record(_))]
        ));
        assert!(weak.is_none());
        let weak = outcome(&doc! { "n": 1, "writeConcernError": { "code": 64 } }, 1).weak;
        let reason = weak.expect("weak").to_string();
        assert!(
            reason.ends_with("not on a majority: write concern error 64"),
            "{reason}"
        );
    }
}
