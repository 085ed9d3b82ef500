//! Judges what the operator makes of a pipeline: replicas, scaling, rollout, pods and image.
//! Layer: core

mod pod;

use std::time::Duration;

use serde_json::Value;

use super::{part, sinks::Declared};
use crate::{
    event_pipeline::{AutoscalingSpec, DisruptionBudgetSpec, RolloutSpec},
    fault::Collector,
    names::{ImageName, RestartToken},
    pipeline::{Autoscaling, Fleet, ScalingMode},
};

/// After how long without progress a rollout is stalled when the object does not say.
const PROGRESS_SECONDS: u32 = 600;

/// `drain` is the drain's timeout in seconds, as far as it can be read.
pub(super) fn check(
    spec: &Value,
    declared: &Declared,
    drain: Option<u32>,
    faults: &mut Collector,
) -> Option<Fleet> {
    let replicas: Option<Option<u32>> = part(spec.get("replicas"));
    let scaling: Option<AutoscalingSpec> = part(spec.get("autoscaling"));
    let autoscaling = scaling.map(|written| autoscaling(&written, faults));
    single(replicas.flatten(), autoscaling.as_ref(), declared, faults);
    let rollout: Option<RolloutSpec> = part(spec.get("rollout"));
    let deadline = rollout.as_ref().map(|own| progress(own, drain, faults));
    let token = rollout.as_ref().map(|own| token(own, faults));
    let budget: Option<DisruptionBudgetSpec> = part(spec.get("disruptionBudget"));
    let pod = part(spec.get("pod")).and_then(|written| pod::check(written, faults));
    let image: Option<Option<String>> = part(spec.get("image"));
    let image = image.map(|own| own.map(|own| faults.keep("spec.image", ImageName::parse(&own))));
    Some(Fleet {
        replicas: replicas?,
        autoscaling: autoscaling?,
        progress_deadline: Duration::from_secs(deadline?.into()),
        restart_token: token?,
        max_unavailable: budget?.max_unavailable.unwrap_or(1),
        pod: pod?,
        image: image?.flatten(),
    })
}

fn autoscaling(written: &AutoscalingSpec, faults: &mut Collector) -> Autoscaling {
    let min_replicas = written.min_replicas.unwrap_or(1);
    if !written.mode.is_built() {
        let message = format!("this version has no {:?}: Off or External", written.mode);
        faults.add("spec.autoscaling.mode", message);
    }
    if let Some(most) = written.max_replicas.filter(|most| *most < min_replicas) {
        let message = format!("{min_replicas} is above maxReplicas, {most}");
        faults.add("spec.autoscaling.minReplicas", message);
    }
    Autoscaling {
        mode: written.mode,
        min_replicas,
        max_replicas: written.max_replicas,
    }
}

/// An embedded sink is a file in one pod.
fn single(
    replicas: Option<u32>,
    scaling: Option<&Autoscaling>,
    declared: &Declared,
    faults: &mut Collector,
) {
    let Some(sink) = declared.embedded() else {
        return;
    };
    if let Some(replicas) = replicas.filter(|replicas| *replicas > 1) {
        let message = format!(
            "{replicas} pods would each have a file of their own for the embedded sink {sink}: at most 1"
        );
        faults.add("spec.replicas", message);
    }
    let external = scaling.filter(|own| own.mode == ScalingMode::External);
    if external.is_some_and(|own| own.max_replicas.is_none_or(|most| most > 1)) {
        let message =
            format!("the embedded sink {sink} is a file in one pod: 1 is needed with External");
        faults.add("spec.autoscaling.maxReplicas", message);
    }
}

fn progress(written: &RolloutSpec, drain: Option<u32>, faults: &mut Collector) -> u32 {
    let deadline = written
        .progress_deadline_seconds
        .unwrap_or(PROGRESS_SECONDS);
    if let Some(drain) = drain.filter(|drain| *drain > deadline) {
        let message = format!("{drain} is above rollout.progressDeadlineSeconds, {deadline}");
        faults.add("spec.drain.timeoutSeconds", message);
    }
    deadline
}

fn token(written: &RolloutSpec, faults: &mut Collector) -> Option<RestartToken> {
    let token = RestartToken::parse(written.restart_token.as_deref()?);
    faults.keep("spec.rollout.restartToken", token)
}
