//! A processor with a stage of one's own: `custom: {name: shout, config: {field: word}}`.
//! Layer: shell

use std::{process::ExitCode, time::Instant};

use penstock_processor::{
    event::{Event, json::JsonKind},
    run,
    stage::{Stage, StageError, StageResult, Step, Verdict},
    stages::custom::Registry,
};

/// Leaves a field of the event in the context as `loud`, in capitals.
struct Shout(String);

impl Shout {
    fn shout(&self, event: &mut Event) -> StageResult {
        let Some(JsonKind::Text(text)) = event.body()?.get(&self.0).map(|value| value.kind())
        else {
            let reason = format!("event.{}: legal is a string", self.0);
            return Err(StageError::Record { reason });
        };
        let loud = text.to_uppercase();
        event.put_context("loud", loud.into())?;
        Ok(Verdict::Continue)
    }
}

impl Stage for Shout {
    fn run<'a>(&'a self, event: &'a mut Event, _deadline: Instant) -> Step<'a> {
        Step::Ready(self.shout(event))
    }
}

fn main() -> ExitCode {
    run::main_with(
        Registry::new().with("shout", |config| match config["field"].as_str() {
            Some(field) => Ok(Box::new(Shout(field.to_owned()))),
            None => Err("config.field is missing, legal is the name of a field".to_owned()),
        }),
    )
}
