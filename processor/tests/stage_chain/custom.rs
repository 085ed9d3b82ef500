//! Stages of a user's own binary, from the outside.
//! Layer: test

use std::time::Instant;

use penstock_processor::{
    chain::LaneOutcome,
    event::{Event, json::JsonKind},
    stage::{Stage, StageError, Step, Verdict},
    stages::custom::Registry,
};
use serde_json::json;

use crate::ports::{Fake, chain, event_at, pipeline, run};

/// Leaves a field of the body in the context, in capitals.
struct Shout {
    field: String,
}

impl Stage for Shout {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        Step::Ready(self.shout(event))
    }
}

impl Shout {
    fn shout(&self, event: &mut Event) -> penstock_processor::stage::StageResult {
        let loud = match event.body()?.get(&self.field).map(|value| value.kind()) {
            Some(JsonKind::Text(text)) => text.to_uppercase(),
            _ => {
                let reason = format!("event.{}: legal is a string", self.field);
                return Err(StageError::Record { reason });
            }
        };
        event.put_context("loud", loud.into())?;
        Ok(Verdict::Continue)
    }
}

#[tokio::test]
async fn a_users_stage_reads_its_config_and_fills_the_context() {
    let registry = Registry::new().with("shout", |config| match config["field"].as_str() {
        Some(field) => Ok(Box::new(Shout {
            field: field.to_owned(),
        })),
        None => Err("config.field is missing, legal is a name".into()),
    });
    let stages = "- name: loud\n  custom:\n    name: shout\n    config: {field: word}";
    let chain = chain(&pipeline(stages), &Fake::default(), registry);
    let mut event = event_at(1, None, Some(br#"{"word": "hey"}"#));
    let outcome = run(&chain, &mut event).await;
    assert!(matches!(outcome, LaneOutcome::Completed), "{outcome:?}");
    assert_eq!(event.context().get("loud"), Some(&json!("HEY")));
}

/// Has a bug: it looks beyond the end of this.
struct Buggy;

const VERDICTS: [Verdict; 1] = [Verdict::Continue];

impl Stage for Buggy {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        Step::pending(async { Ok(VERDICTS[event.context().len() + 1]) })
    }
}

#[tokio::test]
async fn a_panic_costs_the_record_and_not_the_worker() {
    let registry = Registry::new().with("buggy", |_| Ok(Box::new(Buggy)));
    let stages = "- name: bug\n  custom:\n    name: buggy";
    let chain = chain(&pipeline(stages), &Fake::default(), registry);
    let mut event = event_at(1, None, Some(b"{}"));
    let before = chain.active().available();
    let LaneOutcome::Failed(failure) = run(&chain, &mut event).await else {
        panic!("a panic is a failure of its stage");
    };
    assert_eq!(failure.to_string(), "stage bug: the stage panicked");
    assert_eq!(
        chain.active().available(),
        before,
        "the reservation came back"
    );
}
