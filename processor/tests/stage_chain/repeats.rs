//! A record that is run again, after any failure at any port, has its effects once.
//! Layer: test

use penstock_processor::{
    chain::{Chain, LaneOutcome},
    stages::custom::Registry,
};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::ports::{Fake, Fault, chain, event_at, pipeline, run};

const STAGES: &str = r#"- name: index
  index:
    sink: store
    index: events-{yyyy-MM-dd}
    id: event.id
- name: visit
  upsert:
    sink: store
    collection: visits
    id: record.key
    changes:
      - {operator: Inc, field: events, value: "1"}
      - {operator: Set, field: last, value: event.n}
- name: copy
  produce:
    topic: copy
- name: stats
  mode: Detached
  count:
    sink: store
    collection: products
    id: event.product
    amounts:
      - {field: total, value: event.n}
- name: visitors
  mode: Detached
  unique:
    sink: store
    set: '"shop"'
    member: record.key
    window: Day"#;

/// Records of two keys, some of them true duplicates of an id.
const RECORDS: i64 = 6;

fn quiet_world() -> String {
    let fake = Fake::default();
    let chain = chain(&pipeline(STAGES), &fake, Registry::new());
    deliver(&chain, RECORDS);
    fake.with(|world| world.state())
}

/// Every record until it is done, in log order, starting over after each failure.
fn deliver(chain: &Chain, records: i64) {
    let runtime = runtime();
    for offset in 0..records {
        let key = if offset % 2 == 0 { b"a" } else { b"b" };
        let value = format!(r#"{{"id":"e-{}","product":"p","n":{offset}}}"#, offset / 2);
        let attempt = || {
            let mut event = event_at(offset, Some(key), Some(value.as_bytes()));
            runtime.block_on(run(chain, &mut event))
        };
        while let LaneOutcome::Failed(_) = attempt() {}
    }
}

/// Time stands still unless all wait; then it jumps to the next deadline.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::Rejected),
        1 => Just(Fault::Unavailable),
        1 => Just(Fault::AfterWriting),
        1 => Just(Fault::Silent),
    ]
}

proptest! {
    #[test]
    fn effects_are_those_of_a_quiet_day(faults in prop::collection::vec(any_fault(), 0..40)) {
        let fake = Fake::default();
        fake.with(|world| world.faults = faults);
        let chain = chain(&pipeline(STAGES), &fake, Registry::new());
        deliver(&chain, RECORDS);
        prop_assert_eq!(fake.with(|world| world.state()), quiet_world());
    }
}
