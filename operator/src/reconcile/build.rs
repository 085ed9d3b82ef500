//! The objects that a course asks for. Nothing here can fail: what can, did before.
//! Layer: core

pub mod deployment;
pub mod network;
pub mod pod;
pub mod scout;
pub mod settings;

use k8s_openapi::{
    NamespaceResourceScope, Resource,
    api::{
        core::v1::{Service, ServiceAccount, ServicePort, ServiceSpec},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde::Serialize;
use serde_json::Value;

use super::plan::{Course, Fleet, Scout};
use crate::{
    hash,
    kinds::Kind,
    names,
    objects::{Child, Objects, Pods, Prepared},
    observed::{Observed, ScoutFacts},
    subject::Subject,
};

/// Builds everything of a course, in the order of applying.
#[must_use]
pub fn build(subject: &Subject, course: &Course, observed: &Observed) -> Objects<Prepared> {
    match course {
        Course::Run(fleet) => run(subject, fleet, observed),
        Course::Scout(wanted) => scouting(subject, wanted, observed),
        Course::Initialise { .. } | Course::Hold { .. } => {
            Objects::prepared(Vec::new(), Pods::default())
        }
    }
}

fn run(subject: &Subject, fleet: &Fleet, observed: &Observed) -> Objects<Prepared> {
    let name = names::fleet(&subject.name);
    let metadata = subject.child(&name, names::PROCESSOR);
    let children = vec![
        child(Kind::ServiceAccount, &account(metadata.clone())),
        child(
            Kind::ConfigMap,
            &settings::config_map(metadata.clone(), fleet),
        ),
        child(
            Kind::NetworkPolicy,
            &network::fleet(subject, metadata.clone(), &fleet.valid.spec),
        ),
        child(Kind::Service, &service(subject, metadata.clone())),
        child(
            Kind::PodDisruptionBudget,
            &budget(subject, metadata.clone(), fleet),
        ),
        child(
            Kind::Deployment,
            &deployment::deployment(subject, metadata, fleet),
        ),
    ];
    let pods = Pods {
        scout: None,
        dismissed: observed.scouts.iter().map(identity).collect(),
        told: told(fleet, observed),
    };
    Objects::prepared(children, pods)
}

fn scouting(subject: &Subject, wanted: &Scout, observed: &Observed) -> Objects<Prepared> {
    let metadata = subject.child(&names::scouts(&subject.name), names::SCOUT);
    let policy = network::scouts(subject, metadata, &wanted.valid.spec);
    let pod = scout::pod(subject, wanted);
    let is_wanted = |scout: &&ScoutFacts| Some(&scout.name) == pod.metadata.name.as_ref();
    let there = observed.scouts.iter().any(|scout| is_wanted(&scout));
    let pods = Pods {
        dismissed: observed
            .scouts
            .iter()
            .filter(|scout| !is_wanted(scout))
            .map(identity)
            .collect(),
        scout: (!there).then(|| Box::new(pod)),
        told: Vec::new(),
    };
    Objects::prepared(vec![child(Kind::NetworkPolicy, &policy)], pods)
}

fn identity(scout: &ScoutFacts) -> (String, String) {
    (scout.name.clone(), scout.uid.clone())
}

/// Pods that were last told another state. One that was told nothing started with `Running`, or
/// has read its settings when it started.
fn told(fleet: &Fleet, observed: &Observed) -> Vec<(String, &'static str)> {
    let state = fleet.valid.wishes.state.name();
    let staying = observed.pods.iter().filter(|pod| !pod.leaving);
    let stale = staying.filter(|pod| pod.told.as_deref().unwrap_or("Running") != state);
    stale.map(|pod| (pod.name.clone(), state)).collect()
}

/// A child with its kind and the hash of all of it.
fn child<K>(kind: Kind, object: &K) -> Child
where
    K: Resource<Scope = NamespaceResourceScope> + Serialize,
{
    let mut body = serde_json::to_value(object).expect("objects have text keys");
    let hash = hash::tree(&body);
    body["metadata"]["annotations"][names::APPLIED] = Value::String(hash);
    let name = body["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    Child { kind, name, body }
}

/// No pod of ours talks to the API server.
fn account(metadata: ObjectMeta) -> ServiceAccount {
    ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Headless: whoever scrapes finds each pod by its own address.
fn service(subject: &Subject, metadata: ObjectMeta) -> Service {
    let port = ServicePort {
        name: Some("metrics".to_owned()),
        port: names::STATUS_PORT.into(),
        target_port: Some(IntOrString::String("status".to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ports: Some(vec![port]),
            publish_not_ready_addresses: Some(true),
            selector: Some(subject.selector(names::PROCESSOR)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A pod that is not ready holds nothing back, so it may always be evicted.
fn budget(subject: &Subject, metadata: ObjectMeta, fleet: &Fleet) -> PodDisruptionBudget {
    let most = fleet
        .valid
        .wishes
        .disruption_budget
        .max_unavailable
        .unwrap_or(1);
    PodDisruptionBudget {
        metadata,
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(most)),
            selector: Some(selecting(subject, names::PROCESSOR)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn selecting(subject: &Subject, component: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(subject.selector(component)),
        ..LabelSelector::default()
    }
}
