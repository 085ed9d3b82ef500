//! The only writer of children and pods.
//! Layer: shell
//!
//! Children in the order in which they were built: what pods need comes before the pods. Then the
//! pods that are told to read their settings again, the scout that should be there, and last the
//! scouts that are no longer needed, for what they proved is kept by then.

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use serde_json::{Value, json};

use super::{Context, observe::as_existing};
use crate::{
    api::{Cluster, Seen},
    call::CallError,
    covers::covers,
    names,
    objects::{Applied, Child, Objects, Prepared},
    observed::{Existing, Observed},
    resource::EventPipeline,
    subject::Subject,
};

/// A write that brought nothing, and which.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {what}")]
pub struct ApplyError {
    /// The object.
    pub what: String,
    /// Why.
    #[source]
    pub source: CallError,
}

/// Writes what differs from what was observed, and nothing else.
///
/// # Errors
/// The first write that failed; the rest is then left for the next time.
pub async fn apply(
    context: &Context,
    subject: &Subject,
    prepared: &Objects<Prepared>,
    observed: &Observed,
) -> Result<Objects<Applied>, ApplyError> {
    let mut returned = Vec::with_capacity(observed.children.len());
    for child in prepared.children() {
        let existing = observed.child(child.kind, &child.name);
        let named = |source| failed(child.kind.name(), &child.name, source);
        returned.push(
            write(context, subject, child, (existing, observed.now))
                .await
                .map_err(named)?,
        );
    }
    let untouched = observed.children.iter().filter(|existing| {
        let prepared = prepared.child(existing.kind, &existing.name);
        prepared.is_none()
    });
    returned.extend(Objects::untouched(untouched).children().iter().cloned());
    pods(&context.cluster, subject, prepared).await?;
    Ok(Objects::returned(returned))
}

/// One child; its answer, or what was read when nothing differs.
async fn write(
    context: &Context,
    subject: &Subject,
    child: &Child,
    (existing, now): (Option<&Existing>, Timestamp),
) -> Result<Child, CallError> {
    let mut body = child.body.clone();
    if let Some(existing) = existing {
        let same_wish = existing.annotation(names::APPLIED) == annotation(&body);
        if same_wish && covers(&existing.body, &body) {
            return Ok(Child {
                body: existing.body.clone(),
                ..child.clone()
            });
        }
        body["metadata"]["uid"] = existing.uid.clone().into();
        body["metadata"]["resourceVersion"] = existing.version.clone().into();
    }
    let answer = context
        .cluster
        .apply(&child.kind.resource(), &subject.namespace, &body)
        .await?;
    tracing::info!(kind = child.kind.name(), name = child.name, "applied");
    let answer = as_existing(answer, subject, (child.kind, child.name.clone()));
    context.memory.keep(subject, &answer, now);
    Ok(Child {
        body: answer.body,
        ..child.clone()
    })
}

fn annotation(body: &Value) -> Option<&str> {
    body["metadata"]["annotations"][names::APPLIED].as_str()
}

async fn pods(
    cluster: &Cluster,
    subject: &Subject,
    prepared: &Objects<Prepared>,
) -> Result<(), ApplyError> {
    let namespace = &subject.namespace;
    for (name, state) in &prepared.pods().told {
        let change = json!({"metadata": {"annotations": {names::STATE: state}}});
        match cluster
            .merge::<Pod>(namespace, name, &change, names::MANAGER)
            .await
        {
            // a pod that has gone needs to be told nothing
            Ok(_) | Err(CallError::NotFound) => {}
            Err(source) => return Err(failed("Pod", name, source)),
        }
    }
    if let Some(scout) = &prepared.pods().scout {
        let name = scout.metadata.name.clone().unwrap_or_default();
        match cluster.create(namespace, scout.as_ref()).await {
            Ok(_) => tracing::info!(name, "sent a scout"),
            // made by us before an answer was lost, or before a restart
            Err(CallError::Exists(_)) => {}
            Err(source) => return Err(failed("Pod", &name, source)),
        }
    }
    for (name, uid) in &prepared.pods().dismissed {
        let seen = Seen {
            uid: Some(uid.clone()),
            version: None,
        };
        let deleted = cluster.delete::<Pod>(namespace, name, &seen).await;
        deleted.map_err(|source| failed("Pod", name, source))?;
    }
    Ok(())
}

/// Gives `spec.replicas` its first value, by a field manager that never writes again; answers the
/// version that the object has then.
///
/// # Errors
/// When the write brought nothing.
pub async fn initialise(
    cluster: &Cluster,
    subject: &Subject,
    replicas: i32,
) -> Result<Option<String>, ApplyError> {
    let change = json!({
        "metadata": {"resourceVersion": subject.version, "uid": subject.uid},
        "spec": {"replicas": replicas},
    });
    let (namespace, name) = (&subject.namespace, &subject.name);
    let changed = cluster
        .merge::<EventPipeline>(namespace, name, &change, names::REPLICAS_MANAGER)
        .await;
    changed
        .map(|object| object.metadata.resource_version)
        .map_err(|source| failed("EventPipeline", name, source))
}

fn failed(kind: &str, name: &str, source: CallError) -> ApplyError {
    ApplyError {
        what: format!("{kind} {name}"),
        source,
    }
}
