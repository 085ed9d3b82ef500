//! What to do about an object, from what it asks and from what was seen.
//! Layer: core

pub mod scouting;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use penstock_crds::settings::{PipelineIdentity, SCHEMA_VERSION};
use penstock_demand::{Facts, demand};
use penstock_sizing::{Bytes, Plan, derive};
use serde_json::{Value, json};

use self::scouting::Knowledge;
use super::validate::Valid;
use crate::{
    findings::ClusterFacts,
    form::{Drain, DrainOutcome, PipelineStatus},
    hash,
    kinds::Kind,
    names,
    observed::{Observed, Owner, Precedence},
    obstacle::Obstacle,
    subject::Subject,
    wishes::{self, ScalingMode, State},
};

/// What to do.
#[derive(Clone, Debug)]
pub enum Course {
    /// The children follow the object.
    Run(Box<Fleet>),
    /// A scout tries the connection; the fleet stays as it is.
    Scout(Box<Scout>),
    /// `spec.replicas` gets its first value, for the external scaler to change.
    Initialise {
        /// That value.
        replicas: i32,
    },
    /// The fleet stays as it is.
    Hold {
        /// Why.
        obstacle: Obstacle,
        /// When to look again, when nothing tells us.
        after: Option<Duration>,
    },
}

/// A fleet that can be built.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// What is valid of the object.
    pub valid: Valid,
    /// The settings file, as a tree.
    pub settings: Value,
    /// Hash of everything that pods must restart for.
    pub revision: String,
    /// Hash of what a scout proved.
    pub connection: String,
    /// What it saw.
    pub facts: ClusterFacts,
    /// Sizes.
    pub plan: Plan,
    /// Pods.
    pub replicas: i32,
}

/// A scout that should be there.
#[derive(Clone, Debug)]
pub struct Scout {
    /// What is valid of the object.
    pub valid: Valid,
    /// Its settings file, as a tree.
    pub settings: Value,
    /// Hash of the connection that it tries.
    pub connection: String,
    /// Which try.
    pub attempt: u32,
    /// What is said meanwhile.
    pub obstacle: Obstacle,
    /// When to look again, when nothing tells us.
    pub after: Option<Duration>,
}

/// Decides.
#[must_use]
pub fn plan(
    subject: &Subject,
    verdict: Result<Valid, Vec<String>>,
    observed: &Observed,
    before: Option<&PipelineStatus>,
) -> Course {
    let hold = |obstacle, after| Course::Hold { obstacle, after };
    if let Some(obstacle) = occupied(observed) {
        // Objects of others are not watched, so nobody tells when they have gone.
        let again = match obstacle {
            Obstacle::Former { .. } => Duration::from_secs(2),
            _ => Duration::from_secs(30),
        };
        return hold(obstacle, Some(again));
    }
    let valid = match verdict {
        Ok(valid) => valid,
        Err(faults) => return hold(Obstacle::Invalid(faults), None),
    };
    let name = names::fleet(&subject.name);
    let deployed = observed.child(Kind::Deployment, &name);
    let elder = observed
        .rivals
        .iter()
        .find(|rival| rival.precedence == Precedence::Elder);
    if let (Some(elder), None) = (elder, deployed) {
        let by = elder.name.clone();
        return hold(Obstacle::GroupTaken { by }, Some(Duration::from_secs(60)));
    }
    if let Some(replicas) = uninitialised(&valid) {
        return Course::Initialise { replicas };
    }
    let running = deployed.and_then(|child| child.body["spec"]["replicas"].as_i64());
    let running = running.and_then(|running| i32::try_from(running).ok());
    let replicas = replicas(
        &valid,
        running,
        before.and_then(|status| status.drain.as_ref()),
    );
    proven(subject, valid, observed, replicas)
}

/// An object under a child's name that is not ours.
fn occupied(observed: &Observed) -> Option<Obstacle> {
    let other = observed
        .children
        .iter()
        .find(|child| child.owner != Owner::Ours)?;
    let kind = other.kind;
    Some(match other.owner {
        Owner::Former => Obstacle::Former { kind },
        _ => Obstacle::NameConflict {
            kind,
            name: other.name.clone(),
        },
    })
}

fn uninitialised(valid: &Valid) -> Option<i32> {
    let scaling = valid.wishes.autoscaling;
    let unset = scaling.mode == ScalingMode::External && valid.wishes.replicas.is_none();
    unset.then(|| scaling.min_replicas.unwrap_or(1))
}

/// A drained fleet keeps its pods until each has finished or the deadline is over, then it has none.
fn replicas(valid: &Valid, running: Option<i32>, drain: Option<&Drain>) -> i32 {
    let over = drain.is_some_and(|drain| drain.outcome != DrainOutcome::Draining);
    match (valid.wishes.state, over) {
        (State::Drained, true) => 0,
        (State::Drained, false) => running.unwrap_or(0),
        _ => valid.wishes.replicas.unwrap_or(1),
    }
}

fn proven(subject: &Subject, valid: Valid, observed: &Observed, replicas: i32) -> Course {
    let settings = observed.child(Kind::ConfigMap, &names::fleet(&subject.name));
    let connection = connection(&valid);
    let generation = valid.pipeline.source.generation;
    let known = scouting::judge(
        &connection,
        generation,
        settings,
        &observed.scouts,
        observed.now,
    );
    let facts = match known {
        Knowledge::Proven(facts) => facts,
        Knowledge::Trying {
            attempt,
            obstacle,
            after,
        } => {
            let settings = settings_file(subject, &valid, &ClusterFacts::default());
            let scout = Scout {
                valid,
                settings,
                connection,
                attempt,
                obstacle,
                after,
            };
            return Course::Scout(Box::new(scout));
        }
    };
    let before = settings.and_then(scouting::facts);
    if let Some(topic) = before.as_ref().and_then(|before| facts.recreated(before)) {
        let obstacle = Obstacle::TopicRecreated {
            topic: topic.name.clone(),
        };
        return Course::Hold {
            obstacle,
            after: None,
        };
    }
    sized(subject, valid, (connection, facts), replicas)
}

fn sized(
    subject: &Subject,
    valid: Valid,
    (connection, facts): (String, ClusterFacts),
    replicas: i32,
) -> Course {
    let seen = Facts {
        partitions: facts.partitions,
        brokers: facts.brokers,
        cores: None,
    };
    let limit = Bytes(valid.pipeline.resources.memory_limit.bytes());
    let plan = match derive(limit, &demand(&valid.pipeline, &seen)) {
        Ok(plan) => plan,
        Err(refusal) => {
            let field = format!("spec.{}", refusal.field());
            let obstacle = Obstacle::DoesNotFit {
                field,
                message: format!("spec.{refusal}"),
            };
            return Course::Hold {
                obstacle,
                after: None,
            };
        }
    };
    let settings = settings_file(subject, &valid, &facts);
    let revision = revision(&valid, &settings);
    Course::Run(Box::new(Fleet {
        valid,
        settings,
        revision,
        connection,
        facts,
        plan,
        replicas,
    }))
}

/// The file that processors read: the spec without what only the operator reads, and what was seen.
fn settings_file(subject: &Subject, valid: &Valid, facts: &ClusterFacts) -> Value {
    let pipeline = PipelineIdentity {
        name: subject.name.clone(),
        namespace: subject.namespace.clone(),
    };
    let mut observed = json!({});
    if let Some(partitions) = facts.partitions {
        observed["partitions"] = partitions.into();
    }
    if let Some(brokers) = facts.brokers {
        observed["brokers"] = brokers.into();
    }
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "pipeline": pipeline,
        "spec": wishes::for_processors(&valid.spec),
        "observed": observed,
        "plannedLimitBytes": valid.pipeline.resources.memory_limit.bytes(),
    })
}

/// Everything that a scout's answer hangs on. The restart token is part of it, so that a user who
/// repaired a Secret can ask for a new look.
fn connection(valid: &Valid) -> String {
    hash::tree(&json!({
        "source": valid.spec["source"],
        "sinks": valid.spec["sinks"],
        "image": valid.image,
        "restart": valid.wishes.rollout.restart_token,
    }))
}

/// Everything that pods must restart for; neither the state nor the number of pods.
fn revision(valid: &Valid, settings: &Value) -> String {
    let pod = &valid.spec["pod"];
    let restart = &valid.wishes.rollout.restart_token;
    let (spec, observed) = (
        wishes::without_state(&settings["spec"]),
        &settings["observed"],
    );
    let parts = json!({
        "spec": spec, "observed": observed, "pod": pod, "image": valid.image, "restart": restart,
    });
    hash::tree(&parts)[..10].to_owned()
}

/// When a reconcile should be repeated although nothing told us.
#[must_use]
pub fn again(course: &Course) -> Option<Duration> {
    match course {
        Course::Run(_) | Course::Initialise { .. } => None,
        Course::Scout(scout) => scout.after,
        Course::Hold { after, .. } => *after,
    }
}

/// The moment of a decision, to whole seconds: what is written into the object.
#[must_use]
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
