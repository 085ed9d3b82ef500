//! The kinds of children, in the order in which they are applied.
//! Layer: core

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The identity of the pods; without a token.
    ServiceAccount,
    /// The settings file.
    ConfigMap,
    /// Who may talk to the pods, and where they may talk to.
    NetworkPolicy,
    /// Finds the pods for whoever scrapes metrics.
    Service,
    /// How many pods an eviction may take at a time.
    PodDisruptionBudget,
    /// The pods.
    Deployment,
}

impl Kind {
    /// Every kind, in the order of applying: what pods need stands before the pods, or they would
    /// start twice.
    pub const ALL: [Self; 6] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::NetworkPolicy,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::Deployment,
    ];

    /// Group, version, kind and plural.
    #[must_use]
    pub const fn identity(self) -> [&'static str; 4] {
        match self {
            Self::ServiceAccount => ["", "v1", "ServiceAccount", "serviceaccounts"],
            Self::ConfigMap => ["", "v1", "ConfigMap", "configmaps"],
            Self::NetworkPolicy => [
                "networking.k8s.io",
                "v1",
                "NetworkPolicy",
                "networkpolicies",
            ],
            Self::Service => ["", "v1", "Service", "services"],
            Self::PodDisruptionBudget => [
                "policy",
                "v1",
                "PodDisruptionBudget",
                "poddisruptionbudgets",
            ],
            Self::Deployment => ["apps", "v1", "Deployment", "deployments"],
        }
    }

    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.identity()[2]
    }

    /// What the client needs to address it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let [group, version, kind, plural] = self.identity();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
