//! Reads everything that a reconcile decides by.
//! Layer: shell
//!
//! The objects under our names, whoever made them, and the pods. A child of ours is not read again
//! while all of this holds:
//!
//! - its watch shows the very uid and version that we read, or that the answer to our own write
//!   told, so what is used is never older than our own writes; a later change by anybody is brought
//!   by the watch, and the reconcile that it leads to reads;
//! - no write of the pipeline's children has failed since, and half an hour is not over.
//!
//! An object that is not ours is never remembered. That nothing was there is remembered too, but
//! only to be told: before anything is created under a name, that name is read (`reconcile.rs`).
//! Every write names the uid and the version that it replaces, so one that was decided by an older
//! child is refused.
//!
//! Pods are those that their watch shows, which may be older than our own writes (`roster.rs` says
//! why that does no harm); until it has shown everything, and for a pause or a drain, they are read.

use futures::future::try_join_all;
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::api::DynamicObject;

use super::Context;
use crate::{
    call::CallError,
    kinds::Kind,
    names,
    observed::{Existing, Observed, Owner, Rival},
    readings::FleetReading,
    recall::Recalled,
    roster::Crew,
    subject::Subject,
};

/// What is known beside the API server.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// When.
    pub now: Timestamp,
    /// The pods that the watch shows, when they need not be read.
    pub crew: Option<Crew>,
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
    context: &Context,
    subject: &Subject,
    surroundings: Surroundings,
) -> Result<Observed, CallError> {
    let (fleet, scouts) = (names::fleet(&subject.name), names::scouts(&subject.name));
    let names = Kind::ALL.into_iter().map(|kind| (kind, fleet.clone()));
    let names = names.chain([(Kind::NetworkPolicy, scouts)]);
    let now = surroundings.now;
    let children = names.map(|child| known(context, subject, child, now));
    let crew = crew(context, subject, surroundings.crew);
    let (children, crew) = futures::future::try_join(try_join_all(children), crew).await?;
    let believed_absent = children
        .iter()
        .filter_map(Looked::believed_absent)
        .collect();
    Ok(Observed {
        now,
        children: children.into_iter().filter_map(Looked::there).collect(),
        believed_absent,
        pods: crew.fleet,
        scouts: crew.scouts,
        reading: surroundings.reading,
        rivals: surroundings.rivals,
    })
}

async fn crew(
    context: &Context,
    subject: &Subject,
    shown: Option<Crew>,
) -> Result<Crew, CallError> {
    if let Some(shown) = shown {
        return Ok(shown);
    }
    let selector = format!("{}={}", names::PIPELINE, subject.name);
    let pods = context.cluster.list::<Pod>(&subject.namespace, &selector);
    Ok(Crew::listed(&pods.await?.items, subject))
}

/// What there is under a name.
enum Looked {
    There(Existing),
    Absent,
    BelievedAbsent(Kind, String),
}

impl Looked {
    fn there(self) -> Option<Existing> {
        match self {
            Self::There(existing) => Some(existing),
            Self::Absent | Self::BelievedAbsent(..) => None,
        }
    }

    fn believed_absent(&self) -> Option<(Kind, String)> {
        match self {
            Self::BelievedAbsent(kind, name) => Some((*kind, name.clone())),
            Self::There(_) | Self::Absent => None,
        }
    }
}

async fn known(
    context: &Context,
    subject: &Subject,
    (kind, name): (Kind, String),
    now: Timestamp,
) -> Result<Looked, CallError> {
    let (cluster, memory) = (&context.cluster, &context.memory);
    match memory.recall(subject, (kind, &name), now) {
        Some(Recalled::There(existing)) => return Ok(Looked::There(existing)),
        Some(Recalled::Absent) => return Ok(Looked::BelievedAbsent(kind, name)),
        None => {}
    }
    let found = cluster
        .child(&kind.resource(), &subject.namespace, &name)
        .await?;
    let Some(found) = found else {
        memory.keep_absent(subject, (kind, &name), now);
        return Ok(Looked::Absent);
    };
    let existing = as_existing(found, subject, (kind, name));
    memory.keep(subject, &existing, now);
    Ok(Looked::There(existing))
}

/// A child as the API server answered it.
pub(super) fn as_existing(
    mut found: DynamicObject,
    subject: &Subject,
    (kind, name): (Kind, String),
) -> Existing {
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
