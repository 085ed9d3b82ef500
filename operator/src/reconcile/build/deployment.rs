//! The Deployment: one pod less at a time while a revision comes in, never one more.
//! Layer: core

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            ContainerPort, EmptyDirVolumeSource, HTTPGetAction, PodSpec, PodTemplateSpec, Probe,
            ResourceRequirements, TopologySpreadConstraint, Volume,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use penstock_crds::pipeline::SinkBody;

use super::{pod, selecting};
use crate::{names, reconcile::plan::Fleet, subject::Subject, wishes::Spread};

/// Volume and working directory of the embedded sink.
pub const DATA: &str = "data";
const DATA_FOLDER: &str = "/var/lib/penstock";
/// Most that the embedded sink may write; more than that is no local run.
const DATA_LIMIT: u64 = 4 << 30;
/// Beside the drain: for the process to start stopping, and to end after its last commit.
const GRACE_BESIDE_DRAIN: u64 = 15;

/// The Deployment. A surge pod would join the group and leave it again: two rebalances a pod.
#[must_use]
pub fn deployment(subject: &Subject, metadata: ObjectMeta, fleet: &Fleet) -> Deployment {
    let rolling = RollingUpdateDeployment {
        max_surge: Some(IntOrString::Int(0)),
        max_unavailable: Some(IntOrString::Int(1)),
    };
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            progress_deadline_seconds: Some(
                fleet
                    .valid
                    .wishes
                    .rollout
                    .progress_deadline_seconds
                    .unwrap_or(600),
            ),
            replicas: Some(fleet.replicas),
            revision_history_limit: Some(2),
            selector: selecting(subject, names::PROCESSOR),
            strategy: Some(DeploymentStrategy {
                rolling_update: Some(rolling),
                type_: Some("RollingUpdate".to_owned()),
            }),
            template: PodTemplateSpec {
                metadata: Some(labelled(subject, fleet)),
                spec: Some(template(subject, fleet)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The user's labels and annotations, and ours over them.
fn labelled(subject: &Subject, fleet: &Fleet) -> ObjectMeta {
    let mut labels = fleet.valid.wishes.pod.labels.clone();
    labels.extend(subject.labels(names::PROCESSOR));
    labels.insert(names::REVISION.to_owned(), fleet.revision.clone());
    let annotations = fleet.valid.wishes.pod.annotations.clone();
    ObjectMeta {
        labels: Some(labels),
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    }
}

fn template(subject: &Subject, fleet: &Fleet) -> PodSpec {
    let valid = &fleet.valid;
    let mut container = pod::container(valid, &[], resources(fleet));
    container.ports = Some(vec![ContainerPort {
        name: Some("status".to_owned()),
        container_port: names::STATUS_PORT.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }]);
    // Slow to kill: a pod that is starved of CPU is not a dead one.
    container.liveness_probe = Some(probe("/livez", 10, 6));
    container.readiness_probe = Some(probe("/readyz", 2, 3));
    let embedded = writes_files(fleet);
    if embedded {
        container.working_dir = Some(DATA_FOLDER.to_owned());
        let mount = pod::mount(DATA, DATA_FOLDER);
        container.volume_mounts.get_or_insert_default().push(mount);
    }
    let settings = pod::settings_from(&names::fleet(&subject.name));
    let mut spec = pod::spec(valid, container, settings);
    if embedded {
        spec.volumes.get_or_insert_default().push(data());
    }
    let grace = valid.pipeline.drain_timeout.as_secs() + GRACE_BESIDE_DRAIN;
    spec.service_account_name = Some(names::fleet(&subject.name));
    spec.termination_grace_period_seconds = i64::try_from(grace).ok();
    spec.topology_spread_constraints = spread(subject, fleet).map(|one| vec![one]);
    spec
}

/// Memory is limit and request: the plan fills it.
fn resources(fleet: &Fleet) -> ResourceRequirements {
    let wished = &fleet.valid.pipeline.resources;
    let memory = pod::bytes(wished.memory_limit.bytes());
    let cpu =
        |cpu: Option<penstock_crds::quantity::Cpu>| cpu.map(|cpu| pod::cores(cpu.millicores()));
    let limits = [
        ("memory", Some(memory.clone())),
        ("cpu", cpu(wished.cpu_limit)),
    ];
    let requests = [
        ("memory", Some(memory)),
        ("cpu", cpu(wished.cpu_request.or(wished.cpu_limit))),
    ];
    ResourceRequirements {
        limits: Some(pod::amounts(limits)),
        requests: Some(pod::amounts(requests)),
        ..ResourceRequirements::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("status".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn writes_files(fleet: &Fleet) -> bool {
    let mut sinks = fleet.valid.pipeline.sinks.iter();
    sinks.any(|sink| matches!(sink.body, SinkBody::Embedded { .. }))
}

fn data() -> Volume {
    Volume {
        name: DATA.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(pod::bytes(DATA_LIMIT)),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn spread(subject: &Subject, fleet: &Fleet) -> Option<TopologySpreadConstraint> {
    let key = match fleet.valid.wishes.pod.topology_spread {
        Spread::None => return None,
        Spread::Node => "kubernetes.io/hostname",
        Spread::Zone => "topology.kubernetes.io/zone",
    };
    Some(TopologySpreadConstraint {
        label_selector: Some(selecting(subject, names::PROCESSOR)),
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    })
}

/// The selector that scalers read: this revision's pods alone, or they would average two.
#[must_use]
pub fn scale_selector(subject: &Subject, revision: &str) -> String {
    let mut labels: BTreeMap<String, String> = subject.selector(names::PROCESSOR);
    labels.insert(names::REVISION.to_owned(), revision.to_owned());
    let labels: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(",")
}
