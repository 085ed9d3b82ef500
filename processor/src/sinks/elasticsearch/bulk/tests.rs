//! Bodies byte by byte, and who is to blame for an item.
//! Layer: test

use std::sync::Arc;

use super::*;
use crate::{
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Provenance,
        flush_target::{Counters, Place},
    },
};

fn effect(id: &str, document: &str) -> Effect {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 3,
    };
    Effect {
        stage: Arc::from("index"),
        provenance: Provenance {
            generation: 1,
            topic: Arc::from("shop.events"),
            position: Position {
                partition,
                offset: 42,
            },
            floor: 0,
        },
        action: Action::Create {
            index: "events-2026.11".to_owned(),
            id: id.to_owned(),
            document: document.as_bytes().to_vec(),
        },
    }
}

fn body(effects: &[Effect]) -> String {
    let all: Vec<_> = effects
        .iter()
        .map(|e| Creation::of(e).expect("good"))
        .collect();
    String::from_utf8(creations(&all)).expect("text")
}

const ORIGIN: &str = r#""_penstock":{"generation":1,"topic":"shop.events","partition":3,"offset":42,"stage":"index"}"#;

#[test]
fn a_document_is_one_line_behind_its_origin() {
    let document = "  {\r\n \"a\": 1,\n \"b\": \"x\\ny\"}\n";
    let effects = [effect("e\"1\n", document), effect("2", "{ }")];
    let expected = format!(
        concat!(
            r#"{{"create":{{"_index":"events-2026.11","_id":"e\"1\n"}}}}"#,
            "\n{{{origin},   \"a\": 1,  \"b\": \"x\\ny\"}}\n",
            r#"{{"create":{{"_index":"events-2026.11","_id":"2"}}}}"#,
            "\n{{{origin} }}\n"
        ),
        origin = ORIGIN
    );
    assert_eq!(body(&effects), expected);
    let longest = effects
        .iter()
        .map(|e| Creation::of(e).expect("good").length());
    assert!(longest.sum::<usize>() >= expected.len(), "no reallocation");
}

#[test]
fn what_would_spoil_the_request_of_others_is_refused_alone() {
    for (id, document) in [
        ("", "{}"),
        ("1", "[]"),
        ("1", ""),
        (&*"x".repeat(513), "{}"),
    ] {
        let error = Creation::of(&effect(id, document)).expect_err("bad");
        assert!(matches!(error, SinkError::Record { .. }), "{error}");
    }
    let mut other = effect("1", "{}");
    other.action = Action::Unique {
        set: String::new(),
        member: Vec::new(),
        retention: crate::sinks::Retention {
            until_ms: 0,
            margin_ms: 0,
        },
    };
    assert!(Creation::of(&other).is_err());
}

#[test]
fn a_flush_is_an_index_under_an_external_version() {
    let row = Row {
        place: Place {
            collection: Arc::from("products"),
            id: "p1".to_owned(),
        },
        counters: Counters {
            fields: vec![(Arc::from("views"), 7), (Arc::from("sales.eur"), -2)],
            version: 9,
        },
    };
    let text = String::from_utf8(flushes(&[row])).expect("text");
    let (action, document) = text.split_once('\n').expect("two lines");
    assert_eq!(
        action,
        r#"{"index":{"_index":"products","_id":"p1","version":9,"version_type":"external_gte"}}"#
    );
    let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(document, serde_json::json!({ "views": 7, "sales.eur": -2 }));
}

#[test]
fn a_lookup_names_index_and_id() {
    let text = String::from_utf8(lookups([("i", "a"), ("j", "b")])).expect("text");
    assert_eq!(
        text,
        r#"{"docs":[{"_index":"i","_id":"a"},{"_index":"j","_id":"b"}]}"#
    );
}

fn item(json: &str) -> ItemAnswer {
    serde_json::from_str(json).expect("an item")
}

/// In a word.
fn judged(status: u16, kind: &str, reason: &str) -> &'static str {
    let error = format!(r#""error":{{"type":"{kind}","reason":"{reason}","index":"i-000001"}}"#);
    let item = item(&format!(r#"{{"create":{{"status":{status},{error}}}}}"#));
    match judge(item) {
        Judged::Written => "written",
        Judged::Conflict(index) => {
            assert_eq!(index.as_deref(), Some("i-000001"));
            "conflict"
        }
        Judged::Busy => "busy",
        Judged::Failed(SinkError::Record { .. }) => "record",
        Judged::Failed(SinkError::Unavailable { .. } | SinkError::Elsewhere { .. }) => "sink",
    }
}

#[test]
fn only_what_the_record_causes_is_blamed_on_it() {
    let table = [
        (409, "version_conflict_engine_exception", "", "conflict"),
        (429, "es_rejected_execution_exception", "", "busy"),
        (429, "circuit_breaking_exception", "", "busy"),
        (429, "cluster_block_exception", "", "sink"),
        (403, "cluster_block_exception", "", "sink"),
        (403, "security_exception", "", "sink"),
        (401, "security_exception", "", "sink"),
        (404, "index_not_found_exception", "", "sink"),
        (400, "index_closed_exception", "", "sink"),
        (400, "validation_exception", "", "sink"),
        (
            400,
            "illegal_argument_exception",
            "no write index is defined for alias [a]",
            "sink",
        ),
        (400, "document_parsing_exception", "", "record"),
        (400, "mapper_parsing_exception", "", "record"),
        (400, "strict_dynamic_mapping_exception", "", "record"),
        (
            400,
            "illegal_argument_exception",
            "Limit of total fields [1000]",
            "record",
        ),
        (400, "invalid_index_name_exception", "", "record"),
        (500, "null_pointer_exception", "", "sink"),
        (503, "unavailable_shards_exception", "", "sink"),
        (418, "", "", "sink"),
    ];
    for (status, kind, reason, expected) in table {
        assert_eq!(judged(status, kind, reason), expected, "{status} {kind}");
    }
    let created = item(r#"{"create":{"status":201}}"#);
    assert!(matches!(judge(created), Judged::Written));
}

#[test]
fn a_greater_version_is_a_success_of_a_flush() {
    let row = |json| judge_row(item(json));
    let conflict =
        r#"{"index":{"status":409,"error":{"type":"version_conflict_engine_exception"}}}"#;
    assert!(matches!(row(conflict), Ok(flush_target::Written::Newer)));
    let stored = r#"{"index":{"status":200}}"#;
    assert!(matches!(row(stored), Ok(flush_target::Written::Stored)));
    let busy = r#"{"index":{"status":429}}"#;
    assert!(matches!(row(busy), Err(SinkError::Unavailable { .. })));
}
