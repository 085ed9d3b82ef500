//! Answers of clusters and of proxies in front of them.
//! Layer: test

use std::sync::Arc;

use super::*;
use crate::record::{Position, TopicId, TopicPartition};

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn a_request_as_a_whole_is_blamed_only_by_the_cluster_itself() {
    let told = r#"{"error":{"type":"illegal_argument_exception","reason":"x"},"status":400}"#;
    let refused = whole(&answer(400, told));
    assert!(
        matches!(refused, Whole::Refused(Refusal::Content(_))),
        "{refused:?}"
    );
    let too_large = whole(&answer(413, ""));
    assert!(matches!(too_large, Whole::Refused(Refusal::TooLarge)));
    assert!(matches!(whole(&answer(429, "")), Whole::Busy));
    for (status, body) in [
        (400, "<html>"),
        (401, told),
        (403, told),
        (500, ""),
        (503, ""),
        (302, ""),
    ] {
        let failed = whole(&answer(status, body));
        let sink = matches!(failed, Whole::Failed(SinkError::Unavailable { .. }));
        assert!(sink, "{status}: {failed:?}");
    }
}

#[test]
fn an_answer_about_other_items_than_asked_is_no_answer() {
    let one = r#"{"items":[{"create":{"status":201}}]}"#;
    assert_eq!(items(&answer(200, one), 1).expect("one").len(), 1);
    for (body, expected) in [(one, 2), ("{}", 1), ("{\"items\":[{\"cre", 1), ("", 1)] {
        let error = items(&answer(200, body), expected).expect_err(body);
        assert!(matches!(
            error,
            Whole::Failed(SinkError::Unavailable { .. })
        ));
    }
}

#[test]
fn a_fault_is_told_without_payload() {
    let told = |kind: &str, reason: &str| {
        let (kind, reason) = (kind.to_owned(), reason.to_owned());
        let index = None;
        Fault {
            kind,
            reason,
            index,
        }
        .told()
    };
    let reason = "[1:20] failed to parse field [price] of type [long] in document with id '1'. \
        Preview of field's value: 'secret'";
    assert_eq!(
        told("document_parsing_exception", reason),
        "document_parsing_exception on field price"
    );
    assert_eq!(told("x", "failed to parse field [se cret]"), "x");
    assert_eq!(told("x", "field [unclosed"), "x");
    assert_eq!(told("", "y"), "no reason given");
}

fn provenance(offset: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 3,
    };
    Provenance {
        generation: 1,
        topic: Arc::from("t"),
        position: Position { partition, offset },
        floor: 0,
    }
}

#[test]
fn the_creator_is_the_record_itself_or_another() {
    let body = r#"{"docs":[
        {"found":true,"_source":{"_penstock":{"generation":1,"topic":"t","partition":3,"offset":7}}},
        {"found":true,"_source":{"_penstock":{"generation":0,"topic":"t","partition":3,"offset":7}}},
        {"found":true,"_source":{}},
        {"found":true},
        {"found":false},
        {"error":{"type":"no_shard_available_action_exception"}}]}"#;
    let docs = found(&answer(200, body), 6).expect("six");
    let creators: Vec<_> = docs
        .iter()
        .map(|doc| doc.creator(&provenance(7)).ok())
        .collect();
    assert_eq!(
        creators,
        [
            Some(Creator::Same),
            Some(Creator::Other),
            Some(Creator::Other),
            Some(Creator::Other),
            Some(Creator::Nobody),
            None
        ]
    );
    assert!(found(&answer(200, body), 5).is_err());
    assert!(found(&answer(503, body), 6).is_err());
}

#[test]
fn counters_are_the_integers_of_a_document() {
    let body = r#"{"docs":[{"found":true,"_version":9,"_source":
        {"a":1,"b":{"c":-2,"d":"text"},"e":1.5,"f.g":3}}]}"#;
    let one = |body: &str| {
        let mut docs = found(&answer(200, body), 1).expect("one");
        docs.remove(0).counters()
    };
    let counters = one(body).expect("read").expect("there");
    let fields: Vec<_> = counters.fields.iter().map(|(f, v)| (&**f, *v)).collect();
    assert_eq!(fields, [("a", 1), ("b.c", -2), ("f.g", 3)]);
    assert_eq!(counters.version, 9);
    assert_eq!(one(r#"{"docs":[{"found":false}]}"#).expect("read"), None);
    let missing = r#"{"docs":[{"error":{"type":"index_not_found_exception"}}]}"#;
    assert_eq!(one(missing).expect("read"), None);
    assert!(one(r#"{"docs":[{"error":{"type":"other"}}]}"#).is_err());
}
