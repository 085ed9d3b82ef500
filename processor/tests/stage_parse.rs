//! Parsing: against another reader of JSON, and against the estimate made before it.
//! Layer: test

use std::sync::Arc;

use expect_test::expect;
use penstock_processor::{
    event::{body::Body, estimate::Estimate},
    record::{Parts, Position, Record, TopicId, TopicPartition},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tikv_jemalloc_ctl::thread;

/// What the processor runs with; its size classes are what the estimate must cover.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn record(value: Option<&[u8]>) -> Arc<Record> {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let parts = Parts {
        key: Some(b"key"),
        value,
        headers: &[],
        timestamp_ms: 0,
    };
    Arc::new(Record::copy(
        Position {
            partition,
            offset: 0,
        },
        &parts,
    ))
}

fn parse(text: &[u8]) -> Result<Body, String> {
    Body::parse(record(Some(text)), Estimate::scan(text)).map_err(|error| error.to_string())
}

/// Bytes on this thread's heap now.
fn heap() -> u64 {
    let allocated = thread::allocatedp::read()
        .expect("jemalloc is linked")
        .get();
    allocated
        - thread::deallocatedp::read()
            .expect("jemalloc is linked")
            .get()
}

/// Heap that the parsed form of a text holds, and the estimate.
fn held_and_estimate(text: &[u8]) -> (u64, u64) {
    let record = record(Some(text));
    let estimate = Estimate::scan(text);
    let before = heap();
    let body = Body::parse(Arc::clone(&record), estimate);
    let held = heap() - before;
    drop(body);
    drop(record);
    (held, estimate.bytes())
}

fn shapes() -> Vec<(&'static str, String)> {
    let event = json!({
        "id": "evt-01", "type": "page_view", "shop": "shop-7", "sequence": 8812, "url": "/a?b=c,d",
        "ad": {"campaign": "c-77", "source": "mail"}, "amountCents": 1299, "mobile": true,
        "screen": [390, 844], "note": "said \"hello\"\nand left",
    });
    let line = json!({"sku": "s-1", "quantity": 2, "tax": 0.19, "options": {"size": "M"}});
    let many = |member: &str| format!("[{}]", vec![member; 5000].join(","));
    vec![
        ("event", event.to_string()),
        (
            "order",
            json!({"id": "o-1", "lines": vec![line; 12]}).to_string(),
        ),
        ("numbers", many("7")),
        ("empty objects", many("{}")),
        ("empty arrays", many("[]")),
        ("small objects", many(r#"{"a":1}"#)),
        ("short strings", many(r#""x""#)),
        ("one string", format!("\"{}\"", "x".repeat(65_536))),
        (
            "one string of escapes",
            format!("\"{}\"", r"\n".repeat(32_768)),
        ),
        ("strings of escapes", many(r#""\u00e9""#)),
        ("keys of escapes", many(r#"{"\n":1}"#)),
        ("string of commas", format!("\"{}\"", ",[{:".repeat(16_384))),
        ("deep", format!("{}{}", "[".repeat(128), "]".repeat(128))),
        ("cut off", many("{}").trim_end_matches(']').to_owned()),
        ("only openings", "[{".repeat(4096)),
        ("a number", "0".to_owned()),
        ("white space", format!("{}0", " ".repeat(4096))),
    ]
}

#[test]
fn no_shape_needs_more_heap_than_estimated() {
    for (name, text) in shapes() {
        let (held, estimate) = held_and_estimate(text.as_bytes());
        assert!(
            held <= estimate,
            "{name}: {held} bytes held, {estimate} estimated"
        );
    }
}

#[test]
fn ordinary_events_are_estimated_within_twice_their_heap() {
    for (name, text) in shapes().into_iter().take(2) {
        let (held, estimate) = held_and_estimate(text.as_bytes());
        assert!(
            estimate <= 2 * held,
            "{name}: {held} bytes held, {estimate} estimated"
        );
    }
}

#[test]
fn broken_values_say_where_and_what_would_be_legal() {
    let deep = "[".repeat(200);
    let texts: [&[u8]; 8] = [
        b"",
        b"   ",
        b"{\"id\": \"secret\"",
        b"{\"id\": secret}",
        b"{} trailing",
        b"\"caf\xe9\"",
        b"{\"a\":1,}",
        deep.as_bytes(),
    ];
    let messages: Vec<_> = texts
        .iter()
        .map(|text| parse(text).expect_err("none of them is JSON"))
        .collect();
    expect![[r#"
        value is empty (0 bytes), legal is one JSON document or a null value
        value is not JSON at byte 2 of 3, legal is one JSON document
        value is not JSON at byte 14 of 15, legal is one JSON document
        value is not JSON at byte 7 of 14, legal is one JSON document
        value is not JSON at byte 3 of 11, legal is one JSON document
        value is not UTF-8 at byte 4, legal is one JSON document in UTF-8
        value is not JSON at byte 7 of 8, legal is one JSON document
        value is nested deeper than 128 levels, legal are at most 128"#]]
    .assert_eq(&messages.join("\n"));
}

#[test]
fn a_tombstone_is_null() {
    let body = Body::parse(record(None), Estimate::scan(b"")).expect("null is legal");
    assert_eq!(body.root().to_value(), Value::Null);
}

#[test]
fn numbers_keep_their_kind() {
    let text = b"[9223372036854775807, 9223372036854775808, -9223372036854775808, 1.0, 1e3]";
    let body = parse(text).expect("legal JSON");
    expect!["[9223372036854775807,9223372036854775808,-9223372036854775808,1.0,1000.0]"]
        .assert_eq(&body.root().to_value().to_string());
}

#[test]
fn of_doubled_names_the_last_counts() {
    let body = parse(br#"{"a":1,"b":{"a":3},"a":2}"#).expect("legal JSON");
    assert_eq!(
        body.root().path(&["a"]).map(|a| a.to_value()),
        Some(json!(2))
    );
    assert_eq!(
        body.root().path(&["b", "a"]).map(|a| a.to_value()),
        Some(json!(3))
    );
    assert!(body.root().path(&["b", "c"]).is_none());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no infinity", |f| f.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("it is JSON")] {
            let body = parse(text.as_bytes()).expect("it is JSON");
            prop_assert_eq!(body.root().to_value(), value.clone());
            let (held, estimate) = held_and_estimate(text.as_bytes());
            prop_assert!(held <= estimate, "{} bytes held, {} estimated", held, estimate);
        }
    }

    #[test]
    fn a_damaged_text_is_refused_or_bounded(
        value in any_json(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let (held, estimate) = held_and_estimate(&text);
        prop_assert!(held <= estimate, "{} bytes held, {} estimated", held, estimate);
        let other = serde_json::from_slice::<Value>(&text);
        if let (Ok(body), Ok(other)) = (parse(&text), &other) {
            prop_assert_eq!(without_floats(&body.root().to_value()), without_floats(other));
        }
    }
}

/// The other reader rounds some floats differently in the last digit.
fn without_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Null,
        Value::Array(items) => items.iter().map(without_floats).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), without_floats(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
