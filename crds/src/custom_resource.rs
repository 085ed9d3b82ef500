//! The object as Kubernetes knows it: the CustomResourceDefinition, generated from the same types.
//! Layer: core
//!
//! Shapes come from the types, what fields must be to each other from [`rules`]. There is no
//! default for any field: each has more than one writer, or its absence means something.

mod formats;
mod rules;
mod structural;

use serde_json::{Value, json};

use crate::{
    event_pipeline::{KIND, PipelineSpec},
    schema::generate,
    status::PipelineStatus,
};

/// Group of the object.
pub const GROUP: &str = "penstock.dev";
/// Version of the object.
pub const VERSION: &str = "v1alpha1";
/// What the API server calls many of them.
pub const PLURAL: &str = "eventpipelines";
/// Smallest memory limit that the API server takes. No pipeline fits below it; whether one fits
/// above it, the memory law says.
pub const MEMORY_FLOOR: &str = "32Mi";

/// The definition, as committed in `crds/eventpipelines.yaml`.
#[must_use]
pub fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": "eventpipeline",
                "shortNames": ["evp"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": object()},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "additionalPrinterColumns": columns(),
            }],
        },
    })
}

/// The structural schema of the whole object, rules included.
#[must_use]
pub fn object() -> Value {
    let mut status = structural::structural(&generate::<PipelineStatus>());
    structural::nullable(&mut status);
    let mut schema = json!({
        "description": "A pipeline: where events come from, what happens to them, and what it may use.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural::structural(&generate::<PipelineSpec>()),
            "status": status,
        },
    });
    structural::list_maps(&mut schema);
    formats::add(&mut schema);
    rules::add(&mut schema);
    schema
}

fn columns() -> Value {
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    let wide = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path, "priority": 1});
    json!([
        column(
            "Ready",
            "string",
            ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        column("State", "string", ".spec.state"),
        column("Pods", "integer", ".status.readyReplicas"),
        column("Want", "integer", ".status.desiredReplicas"),
        column("Workers", "integer", ".status.derived.workers"),
        column("Memory", "string", ".spec.resources.limits.memory"),
        column("Lag", "integer", ".status.source.lagRecords"),
        column("CatchUp", "integer", ".status.source.catchUpSeconds"),
        column("Age", "date", ".metadata.creationTimestamp"),
        wide(
            "Reason",
            "string",
            ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        wide("Group", "string", ".spec.source.consumerGroup"),
        wide("Revision", "string", ".status.revisions.current"),
        wide("LastOOM", "date", ".status.lastOOM.at"),
    ])
}
