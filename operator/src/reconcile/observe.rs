//! Reads everything that a reconcile decides by.
//! Layer: shell
//!
//! The objects under our names, whoever made them, and the pods. Straight from the API server: no
//! cache that could be older than our own writes.

use futures::future::try_join_all;
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::api::DynamicObject;

use crate::{
    api::Cluster,
    call::CallError,
    kinds::Kind,
    names,
    observed::{Existing, Observed, Owner, PodFacts, Rival, ScoutFacts},
    readings::FleetReading,
    subject::Subject,
};

/// What is known beside the API server.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// When.
    pub now: Timestamp,
    /// What the fleet's pods said last.
    pub reading: FleetReading,
    /// Pipelines of the same consumer group.
    pub rivals: Vec<Rival>,
}

/// Reads.
///
/// # Errors
/// When one of the calls fails: nothing is decided by half a picture.
pub async fn observe(
    cluster: &Cluster,
    subject: &Subject,
    surroundings: Surroundings,
) -> Result<Observed, CallError> {
    let (fleet, scouts) = (names::fleet(&subject.name), names::scouts(&subject.name));
    let names = Kind::ALL.into_iter().map(|kind| (kind, fleet.clone()));
    let names = names.chain([(Kind::NetworkPolicy, scouts)]);
    let children = names.map(|(kind, name)| existing(cluster, subject, kind, name));
    let selector = format!("{}={}", names::PIPELINE, subject.name);
    let (children, pods) = futures::future::try_join(
        try_join_all(children),
        cluster.list::<Pod>(&subject.namespace, &selector),
    )
    .await?;
    let of = |component| pods.items.iter().filter(move |pod| is(pod, component));
    Ok(Observed {
        now: surroundings.now,
        children: children.into_iter().flatten().collect(),
        pods: of(names::PROCESSOR).map(PodFacts::of).collect(),
        scouts: of(names::SCOUT)
            .filter(|pod| {
                Owner::of(pod.metadata.owner_references.as_deref(), subject) == Owner::Ours
            })
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .map(ScoutFacts::of)
            .collect(),
        reading: surroundings.reading,
        rivals: surroundings.rivals,
    })
}

async fn existing(
    cluster: &Cluster,
    subject: &Subject,
    kind: Kind,
    name: String,
) -> Result<Option<Existing>, CallError> {
    let found = cluster
        .child(&kind.resource(), &subject.namespace, &name)
        .await?;
    Ok(found.map(|found| as_existing(found, subject, kind, name)))
}

fn as_existing(mut found: DynamicObject, subject: &Subject, kind: Kind, name: String) -> Existing {
    found.metadata.managed_fields = None;
    Existing {
        kind,
        name,
        uid: found.metadata.uid.clone().unwrap_or_default(),
        version: found.metadata.resource_version.clone().unwrap_or_default(),
        owner: Owner::of(found.metadata.owner_references.as_deref(), subject),
        body: serde_json::to_value(found).expect("an object that was read can be written"),
    }
}

fn is(pod: &Pod, component: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(names::COMPONENT))
        .is_some_and(|is| is == component)
}
