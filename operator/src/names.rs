//! The names that the operator gives: children, labels, annotations, field managers.
//! Layer: core

/// Field manager of every child and of the status.
pub const MANAGER: &str = "penstock-operator";
/// Field manager of `spec.replicas`, which is written once in External mode and never again.
pub const REPLICAS_MANAGER: &str = "penstock-operator-replicas";
/// Reporting controller of events, and the name of the Lease.
pub const CONTROLLER: &str = "penstock-operator";

/// Label: the pipeline that an object serves.
pub const PIPELINE: &str = "penstock.dev/pipeline";
/// Label of pods: the revision that they run.
pub const REVISION: &str = "penstock.dev/revision";
/// Label: what a pod is, [`PROCESSOR`] or [`SCOUT`].
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: who made it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Annotation of each child: hash of what was last applied, so that a field that is no longer
/// wished is noticed.
pub const APPLIED: &str = "penstock.dev/applied";
/// Annotation of the settings: hash of the connection that a scout proved.
pub const PROVEN: &str = "penstock.dev/proven";
/// Annotation of the settings: what that scout saw, as JSON.
pub const FACTS: &str = "penstock.dev/facts";
/// Annotation of a scout: hash of the connection that it tries.
pub const TRIES: &str = "penstock.dev/tries";
/// Annotation of a scout: how often this connection was tried, from 1.
pub const ATTEMPT: &str = "penstock.dev/attempt";
/// Annotation of a scout: its settings file; the pod mounts its own annotation.
pub const SETTINGS: &str = "penstock.dev/settings";
/// Annotation of a processor: the state last told to it. Writing it makes the kubelet refresh the
/// mounted settings at once.
pub const STATE: &str = "penstock.dev/state";

/// Component of the fleet's pods.
pub const PROCESSOR: &str = "processor";
/// Component of the pods that try a connection.
pub const SCOUT: &str = "scout";
/// Container of either.
pub const CONTAINER: &str = "processor";
/// Port of `/status`, `/livez`, `/readyz` and `/metrics`.
pub const STATUS_PORT: u16 = 8080;

/// Name of the fleet's objects. A pipeline's name has at most 40 characters.
#[must_use]
pub fn fleet(pipeline: &str) -> String {
    format!("{pipeline}-{PROCESSOR}")
}

/// Name of what serves the scouts.
#[must_use]
pub fn scouts(pipeline: &str) -> String {
    format!("{pipeline}-{SCOUT}")
}

/// Name of one scout: the same for the same try, so that it is never made twice.
#[must_use]
pub fn scout(pipeline: &str, connection: &str, attempt: u32) -> String {
    let short = connection.get(..8).unwrap_or(connection);
    format!("{pipeline}-{SCOUT}-{short}-{attempt}")
}
