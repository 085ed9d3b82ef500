//! The status of a pipeline, from what the API server returned and from what the pods said.
//! Layer: core

pub mod conditions;
pub mod drain;
pub mod notices;
pub mod rollout;

use std::time::Duration;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use penstock_sizing::{Plan, Pool};

use self::{conditions::Judgement, rollout::Rollout};
use super::{
    build::deployment::scale_selector,
    plan::{Course, Fleet, whole_seconds},
};
use crate::{
    form::{Derived, LastOom, PipelineStatus, Revisions, SourceFacts},
    kinds::Kind,
    names,
    objects::{Applied, Objects},
    observed::Observed,
    obstacle::Obstacle,
    readings::rounded,
    subject::Subject,
};

/// Numbers that change with every record are written at most this often.
const FAST_NUMBERS_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Everything that a status is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Whose status.
    pub subject: &'a Subject,
    /// What was decided.
    pub course: &'a Course,
    /// By what.
    pub observed: &'a Observed,
    /// What the API server returned.
    pub objects: &'a Objects<Applied>,
    /// What the API server refused.
    pub refused: Option<&'a Obstacle>,
    /// What was said before.
    pub before: Option<&'a PipelineStatus>,
}

impl<'a> Situation<'a> {
    /// The plan that is being followed.
    #[must_use]
    pub fn fleet(&self) -> Option<&'a Fleet> {
        match self.course {
            Course::Run(fleet) => Some(fleet),
            Course::Scout(_) | Course::Initialise { .. } | Course::Hold { .. } => None,
        }
    }

    /// What keeps the fleet as it is.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'a Obstacle> {
        match self.course {
            Course::Run(_) | Course::Initialise { .. } => self.refused,
            Course::Scout(scout) => Some(self.refused.unwrap_or(&scout.obstacle)),
            Course::Hold { obstacle, .. } => Some(self.refused.unwrap_or(obstacle)),
        }
    }
}

/// The status, and when its fast numbers may be written next, when they waited.
#[must_use]
pub fn status(situation: &Situation<'_>) -> (PipelineStatus, Option<Duration>) {
    let before = situation.before.cloned().unwrap_or_default();
    let deployment = situation
        .objects
        .child(Kind::Deployment, &names::fleet(&situation.subject.name));
    let rollout = Rollout::of(deployment);
    let (source, later) = source(situation, before.source.as_ref());
    let revisions = revisions(situation, &rollout, &before.revisions);
    let selector = revisions.current.as_deref();
    let selector = selector.map(|revision| scale_selector(situation.subject, revision));
    let last_oom = last_oom(situation, before.last_oom.as_ref());
    let drain = drain::judge(situation, &rollout, before.drain.as_ref());
    let judgement = Judgement {
        situation,
        rollout: &rollout,
        drain: drain.as_ref(),
        oom: last_oom
            .as_ref()
            .filter(|oom| Some(&oom.revision) == revisions.current.as_ref()),
    };
    let status = PipelineStatus {
        observed_generation: situation.subject.generation,
        replicas: rollout.replicas,
        ready_replicas: rollout.ready,
        updated_replicas: rollout.updated,
        desired_replicas: rollout.desired,
        selector: selector.unwrap_or(before.selector),
        derived: situation
            .fleet()
            .map(|fleet| derived(&fleet.plan))
            .or(before.derived),
        source,
        conditions: conditions::judge(&judgement, &before.conditions),
        revisions: revisions.clone(),
        last_oom: last_oom.clone(),
        drain: drain.clone(),
    };
    (
        status,
        earliest(later, conditions::drained::deadline(&judgement)),
    )
}

/// The earlier of two moments.
#[must_use]
pub fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn revisions(situation: &Situation<'_>, rollout: &Rollout, before: &Revisions) -> Revisions {
    let current = rollout.revision.clone().or_else(|| before.current.clone());
    let last_stable = if rollout.is_complete() && situation.obstacle().is_none() {
        current.clone()
    } else {
        before.last_stable.clone()
    };
    Revisions {
        current,
        last_stable,
    }
}

/// Facts at once; the lag rounded, and at most every half minute.
fn source(
    situation: &Situation<'_>,
    before: Option<&SourceFacts>,
) -> (Option<SourceFacts>, Option<Duration>) {
    let before = before.cloned().unwrap_or_default();
    let small = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let large = |count: u64| i64::try_from(rounded(count)).unwrap_or(i64::MAX);
    let facts = situation.fleet().map(|fleet| &fleet.facts);
    let reading = &situation.observed.reading;
    let now = whole_seconds(situation.observed.now);
    let mut source = SourceFacts {
        partitions: facts
            .and_then(|facts| facts.partitions.map(small))
            .or(before.partitions),
        brokers: facts
            .and_then(|facts| facts.brokers.map(small))
            .or(before.brokers),
        lag_records: reading.lag().map(large),
        catch_up_seconds: reading.lag_seconds().map(large),
        observed_at: before.observed_at.clone(),
    };
    let fast = |facts: &SourceFacts| (facts.lag_records, facts.catch_up_seconds);
    let mut later = None;
    if fast(&source) != fast(&before) {
        match before.observed_at.as_ref().and_then(|at| left(at.0, now)) {
            Some(left) => {
                (source.lag_records, source.catch_up_seconds) = fast(&before);
                later = Some(left);
            }
            None => source.observed_at = Some(Time(now)),
        }
    }
    (
        Some(source).filter(|source| *source != SourceFacts::default()),
        later,
    )
}

/// How long the fast numbers have to wait.
fn left(written: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = FAST_NUMBERS_EVERY - now.duration_since(written);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// The newest kill; the restart of a container hides it from nobody.
fn last_oom(situation: &Situation<'_>, before: Option<&LastOom>) -> Option<LastOom> {
    let kills = situation.observed.pods.iter().filter_map(|pod| {
        let (at, _) = pod.oom?;
        Some(LastOom {
            at: Time(at),
            pod: pod.name.clone(),
            revision: pod.revision.clone(),
        })
    });
    kills
        .chain(before.cloned())
        .max_by_key(|oom| (oom.at.0, oom.pod.clone()))
}

fn derived(plan: &Plan) -> Derived {
    let large = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let pool = |pool| large(plan.pools[pool].get());
    Derived {
        memory_limit_bytes: large(plan.limit.get()),
        safety_bytes: large(plan.safety.get()),
        fixed_bytes: large(plan.fixed.get()),
        kafka_bytes: pool(Pool::Kafka),
        dispatcher_bytes: pool(Pool::Dispatcher),
        active_bytes: pool(Pool::Active),
        sinks_bytes: pool(Pool::Sinks),
        caches_bytes: pool(Pool::Caches),
        records: large(plan.dispatch.records),
        window_records: large(plan.dispatch.window),
        workers: i32::try_from(plan.runtime.workers).unwrap_or(i32::MAX),
    }
}
