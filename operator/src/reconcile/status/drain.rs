//! How far a drain is: complete when each pod says that it has finished and committed.
//! Layer: core
//!
//! Only then is the fleet sent home. The evidence is written before that, so that it cannot be lost.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Situation, rollout::Rollout};
use crate::{
    form::{Drain, DrainOutcome, DrainedPod},
    observed::PodFacts,
    readings::PodReading,
    reconcile::plan::whole_seconds,
    wishes::State,
};

/// Judges; `None` while nothing is to be drained.
#[must_use]
pub fn judge(
    situation: &Situation<'_>,
    rollout: &Rollout,
    before: Option<&Drain>,
) -> Option<Drain> {
    let Some(fleet) = situation.fleet() else {
        return before.cloned();
    };
    if fleet.valid.wishes.state != State::Drained {
        return None;
    }
    if let Some(complete) = before.filter(|drain| drain.outcome == DrainOutcome::Complete) {
        return Some(complete.clone());
    }
    let now = Time(whole_seconds(situation.observed.now));
    let started_at = before.map_or(now, |before| before.started_at.clone());
    let pods = &situation.observed.pods;
    let evidence: Vec<Option<DrainedPod>> = pods
        .iter()
        .map(|pod| evidence(pod, situation.observed.reading.pods.get(&pod.name)))
        .collect();
    // A Deployment whose pods do not exist yet is about to make them.
    let all_there = i32::try_from(pods.len()).is_ok_and(|count| count >= rollout.desired);
    let complete = all_there && evidence.iter().all(Option::is_some);
    let outcome = if complete {
        DrainOutcome::Complete
    } else {
        DrainOutcome::Draining
    };
    let pods = evidence.into_iter().flatten().collect();
    Some(Drain {
        started_at,
        outcome,
        pods,
    })
}

/// The evidence of one pod, when it has finished. A pod that never ran holds nothing.
fn evidence(pod: &PodFacts, reading: Option<&PodReading>) -> Option<DrainedPod> {
    if !pod.started {
        return Some(DrainedPod {
            pod: pod.name.clone(),
            partitions: 0,
            finished_records: 0,
            in_flight_records: 0,
        });
    }
    let reading = reading?;
    let finished = reading.state == State::Drained.name() && reading.settled;
    finished.then(|| DrainedPod {
        pod: pod.name.clone(),
        partitions: i32::try_from(reading.partitions).unwrap_or(i32::MAX),
        finished_records: i64::try_from(reading.finished).unwrap_or(i64::MAX),
        in_flight_records: i64::try_from(reading.in_flight).unwrap_or(i64::MAX),
    })
}
