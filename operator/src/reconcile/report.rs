//! Tells what happened: events for what changed, then the status, each only when there is news.
//! Layer: shell
//!
//! Events first: after a crash between the two the same events have the same names and are not
//! told twice; the other way round they would not be told at all.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::status::notices::{event, notices};
use crate::{
    api::Cluster, call::CallError, form::PipelineStatus, resource::EventPipeline, subject::Subject,
};

/// Writes events and status; answers the version that the object has then, when it was written.
///
/// # Errors
/// When the status could not be written, or an event not be told for another reason than that it
/// is refused: an event is not worth a fleet.
pub async fn report(
    cluster: &Cluster,
    subject: &Subject,
    (before, after): (Option<&PipelineStatus>, &PipelineStatus),
    (now, instance): (Timestamp, &str),
) -> Result<Option<String>, CallError> {
    if before == Some(after) {
        return Ok(None);
    }
    for notice in notices(before, after) {
        let event = event(subject, &notice, before, (now, instance));
        match cluster.create(&subject.namespace, &event).await {
            Ok(_) | Err(CallError::Exists(_)) => {}
            Err(error @ CallError::Refused(_)) => {
                tracing::warn!(reason = notice.reason, %error, "an event could not be told");
            }
            Err(error) => return Err(error),
        }
    }
    let change = json!({
        "metadata": {"resourceVersion": subject.version, "uid": subject.uid},
        "status": change(before, after),
    });
    let (namespace, name) = (&subject.namespace, &subject.name);
    cluster
        .merge_status::<EventPipeline>(namespace, name, &change)
        .await
        .map(|object| object.metadata.resource_version)
}

/// The status as a merge patch: what was there and is there no longer is set to null.
fn change(before: Option<&PipelineStatus>, after: &PipelineStatus) -> Value {
    let tree = |status: &PipelineStatus| serde_json::to_value(status).expect("plain data");
    let mut change = tree(after);
    let before = before.map(tree).unwrap_or_default();
    remove_absent(&before, &mut change);
    change
}

fn remove_absent(before: &Value, change: &mut Value) {
    let (Value::Object(before), Value::Object(change)) = (before, change) else {
        return;
    };
    for (name, before) in before {
        remove_absent(before, change.entry(name.clone()).or_insert(Value::Null));
    }
}
