//! Deadlines, the budget of parsed bodies, and who is blamed.
//! Layer: test

use std::time::Duration;

use expect_test::expect;
use penstock_processor::{
    chain::{LaneOutcome, active::ActiveBudget, lane::LaneId},
    stage::StageError,
    stages::custom::Registry,
};

use crate::ports::{ACTIVE, Fake, Fault, chain, event_at, pipeline, run};

const SLOW: &str = "- name: store
  deadlineMillis: 2000
  index:
    sink: store
    index: events
    id: event.id
- name: copy
  produce:
    topic: out";

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_is_the_sinks_fault() {
    let fake = Fake::default();
    let chain = chain(&pipeline(SLOW), &fake, Registry::new());
    let mut lines = Vec::new();
    for faults in [
        vec![Fault::Silent],
        vec![Fault::Silent, Fault::None],
        vec![Fault::Rejected],
    ] {
        fake.with(|world| world.faults = faults);
        let outcome = run(&chain, &mut event_at(1, None, Some(br#"{"id":1}"#))).await;
        let LaneOutcome::Failed(failure) = outcome else {
            panic!("the sink was made to fail")
        };
        lines.push(format!("{failure}"));
    }
    expect![[r#"
        stage store: sink store: no answer within 2s
        stage copy: sink Kafka: no answer within 30s
        stage store: sink store rejected the record: schema says no"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn the_budget_is_held_during_a_visit_and_free_after_it() {
    let fake = Fake::default();
    let chain = chain(&pipeline(SLOW), &fake, Registry::new());
    fake.with(|world| world.faults = vec![Fault::Silent]);
    let mut event = event_at(1, None, Some(br#"{"id":1}"#));
    {
        let mut visit = Box::pin(chain.run(LaneId::INLINE, &mut event));
        assert!(futures::poll!(&mut visit).is_pending());
        assert_eq!(chain.active().available(), ACTIVE - 1024);
    }
    assert_eq!(chain.active().available(), ACTIVE);
}

#[tokio::test]
async fn an_estimate_waits_for_room_but_never_for_more_than_there_is() {
    let budget = ActiveBudget::new(4096);
    let held = budget.reserve(3000).await.expect("it fits");
    {
        let mut waiting = Box::pin(budget.reserve(2048));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(held);
        assert!(waiting.await.is_ok());
    }
    let refused = budget
        .reserve(4097)
        .await
        .err()
        .expect("more than the whole budget");
    assert!(matches!(
        refused,
        StageError::TooComplex {
            estimate: 4097,
            budget: 4096
        }
    ));
    assert_eq!(budget.available(), 4096);
}

#[tokio::test(start_paused = true)]
async fn the_default_deadline_is_long_but_finite() {
    let fake = Fake::default();
    let stages = SLOW.replace("  deadlineMillis: 2000\n", "");
    let chain = chain(&pipeline(&stages), &fake, Registry::new());
    fake.with(|world| world.faults = vec![Fault::Silent]);
    let before = tokio::time::Instant::now();
    let outcome = run(&chain, &mut event_at(1, None, Some(br#"{"id":1}"#))).await;
    assert!(matches!(outcome, LaneOutcome::Failed(_)), "{outcome:?}");
    assert_eq!(before.elapsed(), Duration::from_secs(15));
}
