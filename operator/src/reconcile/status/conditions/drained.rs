//! Whether anything is in flight, while nothing should be.
//! Layer: core

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::{Judgement, Status, Word};
use crate::{
    form::{Drain, DrainOutcome},
    wishes::State,
};

impl Judgement<'_> {
    pub(super) fn drained(&self) -> Word {
        let state = self.fleet().map(|fleet| fleet.valid.wishes.state);
        match (state, self.drain) {
            (Some(State::Drained), Some(drain)) => self.draining(drain),
            (Some(State::Paused), _) if self.all_settled() => {
                Word::new(Status::True, "Paused", "nothing is in flight")
            }
            (Some(State::Paused), _) => Word::new(
                Status::False,
                "Pausing",
                "records in flight are being finished",
            ),
            _ => Word::new(Status::False, "Running", "records are taken"),
        }
    }

    pub(super) fn draining(&self, drain: &Drain) -> Word {
        match drain.outcome {
            DrainOutcome::Complete => {
                let status = if self.rollout.replicas == 0 {
                    Status::True
                } else {
                    Status::False
                };
                let message = "every record that was taken is finished and committed";
                Word::new(status, "Complete", message)
            }
            DrainOutcome::DeadlineExceeded => {
                Word::new(Status::False, "DrainDeadlineExceeded", unfinished(drain))
            }
            DrainOutcome::Draining => {
                let settled = |name: &str| drain.pods.iter().any(|pod| pod.pod == name);
                let pods = self.situation.observed.pods.iter();
                let waiting: Vec<&str> = pods
                    .map(|pod| pod.name.as_str())
                    .filter(|name| !settled(name))
                    .collect();
                let message = format!("waiting for {}", waiting.join(", "));
                Word::new(Status::False, "Draining", message)
            }
        }
    }

    pub(super) fn all_settled(&self) -> bool {
        let observed = self.situation.observed;
        observed.pods.iter().filter(|pod| pod.started).all(|pod| {
            let reading = observed.reading.pods.get(&pod.name);
            reading.is_some_and(|said| said.state == "Paused" && said.in_flight == 0)
        })
    }
}

/// What was left at the deadline, from the evidence alone: the pods are gone.
#[must_use]
pub fn unfinished(drain: &Drain) -> String {
    let busy = drain.pods.iter().filter(|pod| pod.in_flight_records > 0);
    let busy: Vec<String> = busy
        .map(|pod| format!("{} in {}", pod.in_flight_records, pod.pod))
        .collect();
    let left = match busy.is_empty() {
        true => "some pod did not tell that it had finished".to_owned(),
        false => format!("records were left unfinished: {}", busy.join(", ")),
    };
    format!("{left}; nothing is lost: what is not committed is delivered again")
}

/// When a deadline that is waited for passes without anything else telling us.
#[must_use]
pub fn deadline(judgement: &Judgement<'_>) -> Option<Duration> {
    let drain = judgement
        .drain
        .filter(|drain| drain.outcome == DrainOutcome::Draining)?;
    let limit = judgement.fleet()?.valid.pipeline.drain_timeout;
    let limit = SignedDuration::try_from(limit).ok()?;
    let left = limit
        - judgement
            .situation
            .observed
            .now
            .duration_since(drain.started_at.0);
    // a second later, so that it has passed
    Duration::try_from(left)
        .ok()
        .map(|left| left + Duration::from_secs(1))
}
