//! Local stages allocate nothing of their own, and a body is parsed at most once a visit.
//! Layer: test

use std::sync::Arc;

use futures::FutureExt;
use penstock_crds::parse;
use penstock_processor::{
    chain::{Chain, LaneOutcome, lane::LaneId},
    event::Event,
    record::{Parts, Position, Record, TopicId, TopicPartition},
    sinks::Provenance,
    stages::Ports,
};
use tikv_jemalloc_ctl::thread;

/// Counts by thread.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn chain(keeps: &[&str]) -> Chain {
    let text = include_str!("../../crds/examples/storefront.yaml");
    let (head, rest) = text
        .split_once("  stages:\n")
        .expect("the example has stages");
    let (_, tail) = rest
        .split_once("  sinks:\n")
        .expect("the example has sinks");
    let stage = |(n, keep)| format!("    - name: f{n}\n      filter:\n        keep: {keep}\n");
    let stages: String = keeps.iter().enumerate().map(stage).collect();
    let text = format!("{head}  stages:\n{stages}  sinks:\n{tail}");
    let pipeline = parse(&text).expect("the test's stages are legal").pipeline;
    Chain::build(&pipeline, &Ports::default(), 1024 * 1024).expect("filters need no port")
}

fn event(value: &[u8]) -> Event {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    let position = Position {
        partition,
        offset: 0,
    };
    let parts = Parts {
        key: Some(b"k"),
        value: Some(value),
        headers: &[],
        timestamp_ms: 0,
    };
    let provenance = Provenance {
        generation: 0,
        topic: Arc::from("t"),
        position,
        floor: 0,
    };
    Event::new(Arc::new(Record::copy(position, &parts)), provenance)
}

/// Bytes that one visit asks of the allocator, after a first one has warmed it up.
fn allocated_by_a_visit(keeps: &[&str], value: &[u8]) -> u64 {
    let chain = chain(keeps);
    let mut event = event(value);
    let mut visit = || {
        let outcome = chain.run(LaneId::INLINE, &mut event).now_or_never();
        assert!(
            matches!(outcome, Some(LaneOutcome::Completed)),
            "{outcome:?}"
        );
    };
    visit();
    let counter = thread::allocatedp::read().expect("jemalloc is linked");
    let before = counter.get();
    visit();
    counter.get() - before
}

#[test]
fn stages_that_never_look_at_the_body_allocate_nothing() {
    let keeps = ["has(record.offset)", "has(record.key)"];
    assert_eq!(allocated_by_a_visit(&keeps, b"{broken"), 0);
}

#[test]
fn a_body_is_parsed_once_however_many_stages_read_it() {
    let value = br#"{"a": {"b": true}, "c": false}"#;
    let once = allocated_by_a_visit(&["event.a.b"], value);
    let often = allocated_by_a_visit(&["event.a.b", "has(event.c)", "has(event.a.b)"], value);
    assert!(once > 0);
    assert_eq!(often, once);
}

/// Shapes in which CEL's values cost most for each byte of JSON.
#[test]
fn the_interpreter_stays_within_its_estimate() {
    for member in [
        r#"{"a":1}"#,
        "7",
        r#""x""#,
        r#"{"a":"b","c":"d"}"#,
        "[]",
        "{}",
        "[1]",
    ] {
        let value = format!(r#"{{"all":[{}]}}"#, vec![member; 200].join(","));
        let event = event(value.as_bytes());
        let estimate = event.estimated_bytes() + event.interpreted_bytes();
        let allocated = allocated_by_a_visit(&["size(event.all) > 0"], value.as_bytes());
        println!("{member}: {allocated} bytes allocated, {estimate} estimated");
        assert!(
            allocated <= estimate,
            "{member}: {allocated} bytes allocated, {estimate} estimated"
        );
    }
}
