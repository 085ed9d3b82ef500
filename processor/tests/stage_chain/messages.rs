//! The message of every way in which a record can be wrong.
//! Layer: test

use expect_test::expect;
use penstock_processor::{
    chain::{Chain, LaneOutcome},
    failure::{Directive, Policy, dead_letter},
    record::Parts,
    stages::{Ports, custom::Registry},
};

use crate::ports::{Fake, chain, describe_message, event_at, event_of, pipeline, run, transcript};

const INDEX: &str = "- name: store
  index:
    sink: store
    index: events-{yyyy-MM-dd}
    id: event.id";

const COUNT: &str = "- name: stats
  count:
    sink: store
    collection: products
    id: event.product
    amounts:
      - {field: cents, value: event.cents}";

const VISITORS: &str = "- name: visitors
  unique:
    sink: store
    set: event.shop
    member: record.key
    window: Day";

const UPSERT: &str = "- name: visit
  upsert:
    sink: store
    collection: visits
    id: record.key
    changes:
      - {operator: Set, field: campaign, value: event.ad.campaign}";

fn when(condition: &str) -> String {
    format!("- name: guarded\n  when: {condition}\n  produce:\n    topic: out")
}

#[tokio::test]
async fn bad_values() {
    let mut lines = Vec::new();
    for value in [
        None,
        Some(&b""[..]),
        Some(b"{\"id\": 1, secret"),
        Some(b"\xff\xfe"),
        Some(b"[1,2]"),
        Some(b"{}"),
        Some(br#"{"id": null}"#),
        Some(br#"{"id": ""}"#),
        Some(br#"{"id": 1.5}"#),
        Some(br#"{"id": {"a": "secret"}}"#),
        Some(br#"{"id": [1]}"#),
        Some(br#"{"id": true}"#),
        Some(format!(r#"{{"id": "{}"}}"#, "x".repeat(513)).as_bytes()),
        Some(br#"{"id": 18446744073709551615}"#),
        Some(br#"{"id": -7}"#),
    ] {
        lines.push(transcript(INDEX, Some(b"k"), value).await);
    }
    expect![[r#"
        stage store: id `event.id`: found nothing, the field is missing, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: event: value is empty (0 bytes), legal is one JSON document or a null value
        stage store: id `event.id`: event: value is not JSON at byte 10 of 16, legal is one JSON document
        stage store: id `event.id`: event: value is not UTF-8 at byte 0, legal is one JSON document in UTF-8
        stage store: id `event.id`: found nothing, the field is missing, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found nothing, the field is missing, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found null, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found an empty string, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found a number with fraction or exponent, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found an object, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found an array, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found a boolean, legal is an integer or a string of 1 to 512 bytes
        stage store: id `event.id`: found a string of 513 bytes, legal is an integer or a string of 1 to 512 bytes
        store: create events-2026-11-21/18446744073709551615 {"id": 18446744073709551615}
        Completed
        store: create events-2026-11-21/-7 {"id": -7}
        Completed"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn bad_keys() {
    let mut lines = Vec::new();
    let value = Some(&br#"{"shop": "s", "ad": {"campaign": "c"}}"#[..]);
    for stages in [UPSERT, VISITORS] {
        for key in [None, Some(&b""[..]), Some(b"\xff\xfe"), Some(b"good")] {
            lines.push(transcript(stages, key, value).await);
        }
    }
    expect![[r#"
        stage visit: id `record.key`: found null, legal is an integer or a string of 1 to 512 bytes
        stage visit: id `record.key`: found an empty string, legal is an integer or a string of 1 to 512 bytes
        stage visit: id `record.key`: found 2 bytes that are not UTF-8, legal is an integer or a string of 1 to 512 bytes
        visit: upsert visits/good Offset Nothing [Set campaign="c"]
        Completed
        stage visitors: member `record.key`: found null, legal is a string or an integer
        stage visitors: member `record.key`: found an empty string, legal is a string or an integer
        visitors: unique s:2026-11-21 \xff\xfe
        Completed
        visitors: unique s:2026-11-21 good
        Completed"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn bad_amounts_and_operands() {
    let mut lines = Vec::new();
    for cents in ["1.0", "\"1\"", "null", "9223372036854775808", "12"] {
        let value = format!(r#"{{"product": 7, "cents": {cents}}}"#);
        lines.push(transcript(COUNT, Some(b"k"), Some(value.as_bytes())).await);
    }
    lines.push(transcript(UPSERT, Some(b"k"), Some(b"{\"ad\": {}}")).await);
    expect![[r#"
        stage stats: amounts.cents `event.cents`: found a number with fraction or exponent, legal is an integer of 64 bits with sign
        stage stats: amounts.cents `event.cents`: found a string of 1 bytes, legal is an integer of 64 bits with sign
        stage stats: amounts.cents `event.cents`: found null, legal is an integer of 64 bits with sign
        stage stats: amounts.cents `event.cents`: found an integer above 9223372036854775807, legal is an integer of 64 bits with sign
        stats: count products/7 [("cents", 12)]
        Completed
        stage visit: changes.campaign `event.ad.campaign`: found nothing, the field is missing, legal is any JSON value"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn bad_conditions() {
    let mut lines = Vec::new();
    for condition in [
        "has(event.a.b.c)",
        "event.text",
        "event.missing",
        "event.missing > 1",
        "event.text > 1",
        "event.number / 0 == 1",
        "event.number + 9223372036854775807 > 0",
        "event.list[7] == 1",
        "int(event.text) == 1",
        "event.number",
        "size(event.list) == 2",
        "event.number == 7 && event.list[1] == 2 && record.key == \"k\"",
        "record.headers.trace == \"t-1\"",
        "has(record.headers.none)",
        "event.list.exists(x, x > 1)",
    ] {
        let value = Some(&br#"{"text": "secret", "number": 7, "list": [1, 2]}"#[..]);
        lines.push(format!(
            "{condition} => {}",
            transcript(&when(condition), Some(b"k"), value).await
        ));
    }
    expect![[r#"
        has(event.a.b.c) => Completed
        event.text => stage guarded: when `event.text`: found a string of 6 bytes, legal is true or false
        event.missing => stage guarded: when `event.missing`: found nothing, the field is missing, legal is true or false
        event.missing > 1 => stage guarded: when `event.missing > 1`: a field is missing, guard it with has(...) in `when`
        event.text > 1 => stage guarded: when `event.text > 1`: found no matching overload for '_>_' applied to '(string, int)'
        event.number / 0 == 1 => stage guarded: when `event.number / 0 == 1`: division by zero
        event.number + 9223372036854775807 > 0 => stage guarded: when `event.number + 9223372036854775807 > 0`: integer overflow in add
        event.list[7] == 1 => stage guarded: when `event.list[7] == 1`: index is outside the list
        int(event.text) == 1 => stage guarded: when `int(event.text) == 1`: function int failed on its arguments
        event.number => stage guarded: when `event.number`: found an integer, legal is true or false
        size(event.list) == 2 => out: k => {\"text\": \"secret\", \"number\": 7, \"list\": [1, 2]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=guarded]
        Completed
        event.number == 7 && event.list[1] == 2 && record.key == "k" => out: k => {\"text\": \"secret\", \"number\": 7, \"list\": [1, 2]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=guarded]
        Completed
        record.headers.trace == "t-1" => out: k => {\"text\": \"secret\", \"number\": 7, \"list\": [1, 2]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=guarded]
        Completed
        has(record.headers.none) => Completed
        event.list.exists(x, x > 1) => out: k => {\"text\": \"secret\", \"number\": 7, \"list\": [1, 2]} [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=guarded]
        Completed"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_pipeline_that_looks_at_no_body_takes_any_bytes() {
    let stages =
        "- name: copy\n  when: record.headers.trace == \"t-1\"\n  produce:\n    topic: out";
    let line = transcript(stages, Some(b"k"), Some(b"{broken")).await;
    expect![[r#"
        out: k => {broken [penstock-generation=0, penstock-topic=storefront-events, penstock-partition=3, penstock-offset=42, penstock-stage=copy]
        Completed"#]].assert_eq(&line);
}

#[tokio::test]
async fn a_context_that_grows_too_large() {
    let stages = "- name: keep\n  set:\n    fields:\n      - {name: all, value: event}";
    let value = format!("\"{}\"", "x".repeat(70_000));
    let line = transcript(stages, Some(b"k"), Some(value.as_bytes())).await;
    expect!["stage keep: context.all: context would hold 70131 bytes, legal are at most 65536"]
        .assert_eq(&line);
}

#[tokio::test]
async fn a_body_too_complex_for_the_whole_budget() {
    let text = format!("[{}]", vec!["{}"; 100_000].join(","));
    let line = transcript(INDEX, Some(b"k"), Some(text.as_bytes())).await;
    expect!["stage store: parsed size of 4000020 bytes exceeds the budget of 1048576 bytes"]
        .assert_eq(&line);
}

#[tokio::test]
async fn a_thousand_headers() {
    let names: Vec<_> = (0..1000).map(|n| format!("h-{n}")).collect();
    let headers: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(&b"v"[..])))
        .collect();
    let parts = Parts {
        key: Some(b"k"),
        value: Some(b"{}"),
        headers: &headers,
        timestamp_ms: 0,
    };
    let fake = Fake::default();
    let stages = when("record.headers[\"h-999\"] == \"v\" && size(record.headers) == 1000");
    let chain = chain(&pipeline(&stages), &fake, Registry::new());
    let outcome = run(&chain, &mut event_of(1, &parts)).await;
    assert!(matches!(outcome, LaneOutcome::Completed), "{outcome:?}");
    assert_eq!(fake.with(|world| world.asked.len()), 1);
}

#[test]
fn faults_of_a_pipeline_that_this_binary_cannot_run() {
    let stages = format!(
        "{INDEX}\n- name: copy\n  produce:\n    topic: out\n- name: own\n  custom:\n    name: shout\n- \
         name: other\n  custom:\n    name: refuse\n    config: {{a: 1}}"
    );
    let registry = Registry::new().with("refuse", |_| Err("a is 1, legal is 2".into()));
    let ports = Ports {
        registry,
        ..Ports::default()
    };
    let faults = Chain::build(&pipeline(&stages), &ports, 1024)
        .err()
        .expect("nothing is connected");
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    expect![[r#"
        stage store: nothing is connected for sink store
        stage copy: nothing is connected for sink Kafka
        stage own: this binary has no custom stage "shout", legal are: refuse
        stage other: custom stage "refuse" refused its config: a is 1, legal is 2"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_dead_letter_holds_the_record_and_where_it_came_from() {
    let object = pipeline(INDEX);
    let chain = chain(&object, &Fake::default(), Registry::new());
    let mut event = event_at(42, Some(b"k\xff"), Some(b"{broken"));
    let LaneOutcome::Failed(failure) = run(&chain, &mut event).await else {
        panic!("the value is broken");
    };
    let policy = Policy::from(&object.failure);
    let directive = penstock_processor::failure::decide(&failure, 1, &policy, 7);
    assert!(
        matches!(directive, Directive::DeadLetter { .. }),
        "{directive:?}"
    );
    let lines = [dead_letter::Content::Whole, dead_letter::Content::Reference].map(|content| {
        describe_message(&dead_letter::letter("dead", &event, &failure, 1, content))
    });
    expect![[r#"
        dead: k\xff => {broken [penstock-dead-generation=0, penstock-dead-topic=storefront-events, penstock-dead-partition=3, penstock-dead-offset=42, penstock-dead-timestamp=1795268700000, penstock-dead-stage=store, penstock-dead-class=record, penstock-dead-reason=id `event.id`: event: value is not JSON at byte 1 of 7, legal is one JSON document, penstock-dead-attempts=1, trace=t-1, empty=null]
        dead: null => null [penstock-dead-generation=0, penstock-dead-topic=storefront-events, penstock-dead-partition=3, penstock-dead-offset=42, penstock-dead-timestamp=1795268700000, penstock-dead-stage=store, penstock-dead-class=record, penstock-dead-reason=id `event.id`: event: value is not JSON at byte 1 of 7, legal is one JSON document, penstock-dead-attempts=1, penstock-dead-reference=true]"#]].assert_eq(&lines.join("\n"));
}
