//! Which ports the pods may use. By port, not by address: brokers and sinks move.
//! Layer: core

use std::collections::BTreeSet;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::Value;

use super::selecting;
use crate::{names, subject::Subject, wishes};

const DNS: u16 = 53;

/// For the fleet: status in; names, brokers and sinks out.
#[must_use]
pub fn fleet(subject: &Subject, metadata: ObjectMeta, spec: &Value) -> NetworkPolicy {
    let ingress = NetworkPolicyIngressRule {
        ports: Some(vec![port("TCP", names::STATUS_PORT)]),
        ..NetworkPolicyIngressRule::default()
    };
    policy(subject, metadata, names::PROCESSOR, (vec![ingress], spec))
}

/// For scouts: the same out, nothing in.
#[must_use]
pub fn scouts(subject: &Subject, metadata: ObjectMeta, spec: &Value) -> NetworkPolicy {
    policy(subject, metadata, names::SCOUT, (Vec::new(), spec))
}

fn policy(
    subject: &Subject,
    metadata: ObjectMeta,
    component: &str,
    (ingress, spec): (Vec<NetworkPolicyIngressRule>, &Value),
) -> NetworkPolicy {
    let names = NetworkPolicyEgressRule {
        ports: Some(vec![port("UDP", DNS), port("TCP", DNS)]),
        ..NetworkPolicyEgressRule::default()
    };
    let ports: BTreeSet<u16> = wishes::ports(spec);
    let systems = NetworkPolicyEgressRule {
        ports: Some(
            ports
                .into_iter()
                .map(|number| port("TCP", number))
                .collect(),
        ),
        ..NetworkPolicyEgressRule::default()
    };
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            egress: Some(vec![names, systems]),
            ingress: Some(ingress).filter(|rules| !rules.is_empty()),
            pod_selector: Some(selecting(subject, component)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        }),
    }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number.into())),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
