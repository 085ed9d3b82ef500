//! How far a drain is: complete when each pod says that it has finished and committed.
//! Layer: core
//!
//! Only then, or at the deadline, is the fleet sent home. The evidence is written before that, so
//! that it cannot be lost.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::SignedDuration};

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
    if let Some(over) = before.filter(|drain| drain.outcome != DrainOutcome::Draining) {
        return Some(over.clone());
    }
    let now = Time(whole_seconds(situation.observed.now));
    let started_at = before.map_or(now, |before| before.started_at.clone());
    let (pods, readings) = (&situation.observed.pods, &situation.observed.reading.pods);
    let finished: Vec<Option<DrainedPod>> = pods
        .iter()
        .map(|pod| finished(pod, readings.get(&pod.name)))
        .collect();
    // A Deployment whose pods do not exist yet is about to make them.
    let all_there = i32::try_from(pods.len()).is_ok_and(|count| count >= rollout.desired);
    let limit = SignedDuration::try_from(fleet.valid.pipeline.drain_timeout);
    let late = limit.is_ok_and(|limit| situation.observed.now.duration_since(started_at.0) > limit);
    let outcome = match (all_there && finished.iter().all(Option::is_some), late) {
        (true, _) => DrainOutcome::Complete,
        (false, true) => DrainOutcome::DeadlineExceeded,
        (false, false) => DrainOutcome::Draining,
    };
    let evidence = pods.iter().zip(finished).filter_map(|(pod, finished)| {
        let said = || readings.get(&pod.name).map(|reading| told(pod, reading));
        finished.or_else(|| said().filter(|_| outcome == DrainOutcome::DeadlineExceeded))
    });
    Some(Drain {
        started_at,
        outcome,
        pods: evidence.collect(),
    })
}

/// The evidence of one pod, when it has finished. A pod that never ran holds nothing.
fn finished(pod: &PodFacts, reading: Option<&PodReading>) -> Option<DrainedPod> {
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
    finished.then(|| told(pod, reading))
}

fn told(pod: &PodFacts, reading: &PodReading) -> DrainedPod {
    DrainedPod {
        pod: pod.name.clone(),
        partitions: i32::try_from(reading.partitions).unwrap_or(i32::MAX),
        finished_records: i64::try_from(reading.finished).unwrap_or(i64::MAX),
        in_flight_records: i64::try_from(reading.in_flight).unwrap_or(i64::MAX),
    }
}
