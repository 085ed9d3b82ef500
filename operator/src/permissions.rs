//! Everything that the operator may do, with the reason.
//! Layer: core
//!
//! The role of the charts is made from it, and the scenarios are held to it: no call outside it,
//! none in it that is never made.

use std::fmt::Write as _;

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource, with its subresource.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// What for.
    pub why: &'static str,
}

const fn may(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    why: &'static str,
) -> Permission {
    Permission {
        group,
        resource,
        verbs,
        why,
    }
}

/// Reading one by name and applying it, which also creates it.
const KEPT: &[&str] = &["create", "get", "list", "patch", "watch"];

/// In the namespaces that are served. There is none on secrets: pods mount them, the operator never
/// sees one.
pub const SERVED: &[Permission] = &[
    may(
        "penstock.dev",
        "eventpipelines",
        &["get", "list", "patch", "watch"],
        "the objects; patch sets spec.replicas once where an external scaler owns it",
    ),
    may(
        "penstock.dev",
        "eventpipelines/status",
        &["patch"],
        "what is said about them",
    ),
    may(
        "",
        "serviceaccounts",
        KEPT,
        "the pods' identity, without a token",
    ),
    may("", "configmaps", KEPT, "the settings file"),
    may(
        "networking.k8s.io",
        "networkpolicies",
        KEPT,
        "which ports the pods may use",
    ),
    may(
        "",
        "services",
        KEPT,
        "finds the pods for whoever scrapes metrics",
    ),
    may(
        "policy",
        "poddisruptionbudgets",
        KEPT,
        "how many pods an eviction may take at a time",
    ),
    may("apps", "deployments", KEPT, "the fleet"),
    may(
        "",
        "pods",
        &["create", "delete", "list", "patch", "watch"],
        "scouts; patch tells a pod to read its settings again at once",
    ),
    may(
        "events.k8s.io",
        "events",
        &["create"],
        "what happened, for kubectl describe",
    ),
];

/// In the operator's own namespace.
pub const OWN: &[Permission] = &[may(
    "coordination.k8s.io",
    "leases",
    &["create", "get", "update"],
    "one of the replicas leads",
)];

/// The role as YAML, with the reasons as comments.
#[must_use]
pub fn role() -> String {
    let head = "# Written by the tests from operator/src/permissions.rs; do not edit.\n";
    let served = manifest("ClusterRole", "penstock-operator", SERVED);
    let own = manifest("Role", "penstock-operator-lease", OWN);
    format!("{head}{served}---\n{own}")
}

fn manifest(kind: &str, name: &str, permissions: &[Permission]) -> String {
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\nrules:\n"
    );
    for permission in permissions {
        let Permission {
            group,
            resource,
            verbs,
            why,
        } = permission;
        let verbs = verbs.join(", ");
        write!(
            text,
            "  # {why}\n  - apiGroups: [\"{group}\"]\n    resources: [{resource}]\n    verbs: [{verbs}]\n"
        )
        .expect("a String takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_grants_access_to_secrets_or_more_than_is_named() {
        for permission in SERVED.iter().chain(OWN) {
            let Permission {
                group,
                resource,
                verbs,
                ..
            } = permission;
            assert_ne!(*resource, "secrets");
            for forbidden in ["*", "escalate", "bind", "impersonate", "deletecollection"] {
                assert!(!verbs.contains(&forbidden), "{resource}: {forbidden}");
                assert!(*group != forbidden && *resource != forbidden);
            }
        }
    }

    #[test]
    fn the_committed_role_is_this_one() {
        let committed = include_str!("../role.yaml");
        if std::env::var_os("PENSTOCK_REWRITE").is_some_and(|value| value == "1") {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/role.yaml"), role()).unwrap();
            return;
        }
        assert_eq!(committed, role(), "run this test with PENSTOCK_REWRITE=1");
    }
}
