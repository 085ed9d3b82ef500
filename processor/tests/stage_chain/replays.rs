//! A dead letter that was written again is the record that it was.
//! Layer: test

use penstock_processor::{chain::LaneOutcome, record::Parts, stage::Finish};

use crate::ports::{Fake, chain, event_at, event_of, pipeline, run};

const STAGES: &str = r"- name: index
  index:
    sink: store
    index: events
    id: event.id";

#[tokio::test]
async fn a_replay_of_a_stored_record_is_no_duplicate_and_a_stranger_is() {
    let fake = Fake::default();
    let chain = chain(&pipeline(STAGES), &fake, Default::default());
    let value = br#"{"id":"e-1"}"#;
    let first = run(&chain, &mut event_at(42, Some(b"k"), Some(value))).await;
    assert!(matches!(first, LaneOutcome::Completed));
    for (offset, duplicate) in [("42", false), ("41", true)] {
        let headers = [
            ("penstock-origin-generation", Some(&b"0"[..])),
            ("penstock-origin-topic", Some(&b"storefront-events"[..])),
            ("penstock-origin-partition", Some(&b"3"[..])),
            ("penstock-origin-offset", Some(offset.as_bytes())),
        ];
        let parts = Parts {
            key: Some(b"k"),
            value: Some(value),
            headers: &headers,
            timestamp_ms: 1_795_268_700_000,
        };
        let outcome = run(&chain, &mut event_of(99, &parts)).await;
        let finished = matches!(outcome, LaneOutcome::Finished(Finish::Duplicate));
        assert_eq!(finished, duplicate, "origin {offset}: {outcome:?}");
    }
}
