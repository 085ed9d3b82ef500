//! How far a Deployment is, as the API server returned it.
//! Layer: core

use k8s_openapi::api::apps::v1::Deployment;
use serde::Deserialize;

use crate::{names, objects::Child};

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Whether there is one at all.
    pub exists: Existence,
    /// Revision of its template.
    pub revision: Option<String>,
    /// Pods wished.
    pub desired: i32,
    /// Pods there.
    pub replicas: i32,
    /// Pods ready.
    pub ready: i32,
    /// Pods of this revision.
    pub updated: i32,
    /// Pods available.
    pub available: i32,
    /// Why it does not go on: no progress within the deadline, or pods that are refused.
    pub failure: Option<(Failure, String)>,
}

/// Whether there is a Deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existence {
    /// There is none.
    #[default]
    Absent,
    /// Its controller has not looked at its last change yet.
    Unobserved,
    /// Its controller has.
    Observed,
}

/// Why a rollout does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No progress within the deadline.
    Deadline,
    /// The API server refuses pods: quota, Pod Security.
    PodsRefused,
}

impl Rollout {
    /// Reads the Deployment.
    #[must_use]
    pub fn of(child: Option<&Child>) -> Self {
        let deployment = child.and_then(|child| Deployment::deserialize(&child.body).ok());
        let Some(deployment) = deployment else {
            return Self::default();
        };
        let spec = deployment.spec.unwrap_or_default();
        let status = deployment.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let failure = conditions.iter().find_map(|found| {
            let failure = match (found.type_.as_str(), found.status.as_str()) {
                ("ReplicaFailure", "True") => Failure::PodsRefused,
                ("Progressing", "False") => Failure::Deadline,
                _ => return None,
            };
            Some((failure, found.message.clone().unwrap_or_default()))
        });
        let seen = status.observed_generation >= deployment.metadata.generation;
        let labels = spec.template.metadata.and_then(|metadata| metadata.labels);
        Self {
            exists: if seen {
                Existence::Observed
            } else {
                Existence::Unobserved
            },
            revision: labels.and_then(|mut labels| labels.remove(names::REVISION)),
            desired: spec.replicas.unwrap_or(1),
            replicas: status.replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            failure: failure.filter(|_| seen),
        }
    }

    /// Whether every pod is of this revision and available, and no other is left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.exists == Existence::Observed
            && self.replicas == self.desired
            && self.updated == self.desired
            && self.available == self.desired
    }
}
