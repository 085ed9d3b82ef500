//! Judges `spec.pod`.
//! Layer: core

use std::collections::BTreeMap;

use crate::{
    event_pipeline::{PodSpec, TolerationSpec},
    fault::Collector,
    names::{LabelValue, MetadataKey, PriorityClassName, shown},
    pipeline::{PodOptions, TaintEffect, Toleration, TolerationOperator},
    validate::security,
};

/// Prefixes of labels that the operator writes.
const RESERVED: [&str; 2] = ["penstock.dev/", "app.kubernetes.io/"];

pub(super) fn check(written: PodSpec, faults: &mut Collector) -> Option<PodOptions> {
    map("labels", &written.labels, &RESERVED, faults);
    map("annotations", &written.annotations, &RESERVED[..1], faults);
    map("nodeSelector", &written.node_selector, &[], faults);
    label_values("labels", &written.labels, faults);
    label_values("nodeSelector", &written.node_selector, faults);
    let tolerations = written.tolerations.into_iter().enumerate();
    let tolerations = tolerations.map(|(at, own)| toleration(at, own, faults));
    let tolerations = tolerations.collect();
    let class = written.priority_class_name.as_deref();
    let class = class.map(PriorityClassName::parse);
    let class = class.map(|own| faults.keep("spec.pod.priorityClassName", own));
    let pulls = written.image_pull_secrets.iter().enumerate();
    let pulls: Vec<_> = pulls
        .map(|(at, own)| security::name(&format!("spec.pod.imagePullSecrets[{at}]"), own, faults))
        .collect();
    Some(PodOptions {
        labels: written.labels,
        annotations: written.annotations,
        node_selector: written.node_selector,
        tolerations,
        topology_spread: written.topology_spread.unwrap_or_default(),
        priority_class: class.flatten(),
        image_pull_secrets: pulls.into_iter().collect::<Option<_>>()?,
    })
}

fn map(field: &str, written: &BTreeMap<String, String>, reserved: &[&str], faults: &mut Collector) {
    let path = format!("spec.pod.{field}");
    for key in written.keys() {
        faults.keep(path.clone(), MetadataKey::parse(key));
        if let Some(prefix) = reserved.iter().find(|prefix| key.starts_with(**prefix)) {
            let message = format!("{} is the operator's: no key under {prefix}", shown(key));
            faults.add(path.clone(), message);
        }
    }
}

fn label_values(field: &str, written: &BTreeMap<String, String>, faults: &mut Collector) {
    for value in written.values().filter(|value| !value.is_empty()) {
        faults.keep(format!("spec.pod.{field}"), LabelValue::parse(value));
    }
}

fn toleration(at: usize, written: TolerationSpec, faults: &mut Collector) -> Toleration {
    let path = |field: &str| format!("spec.pod.tolerations[{at}].{field}");
    let operator = written.operator.unwrap_or_default();
    if let Some(key) = &written.key {
        faults.keep(path("key"), MetadataKey::parse(key));
    } else if operator == TolerationOperator::Equal {
        faults.add(path("key"), "missing, and required with operator Equal");
    }
    let value = written.value.filter(|value| !value.is_empty());
    if let Some(value) = &value {
        faults.keep(path("value"), LabelValue::parse(value));
        if operator == TolerationOperator::Exists {
            let message = format!("{} with operator Exists: leave it out", shown(value));
            faults.add(path("value"), message);
        }
    }
    if written.toleration_seconds.is_some() && written.effect != Some(TaintEffect::NoExecute) {
        let message = "only effect NoExecute ends after a time: leave it out";
        faults.add(path("tolerationSeconds"), message);
    }
    Toleration {
        key: written.key,
        operator,
        value,
        effect: written.effect,
        seconds: written.toleration_seconds,
    }
}
