//! Which pipeline a reconcile is about.
//! Layer: core

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use penstock_crds::event_pipeline::{API_VERSION, KIND};

use crate::{names, resource::EventPipeline};

/// A pipeline's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Identity: a new object of the same name has another.
    pub uid: String,
    /// Version of the spec.
    pub generation: i64,
    /// Version of the object.
    pub version: String,
}

impl Subject {
    /// The identity of an object that the API server sent; `None` for any other.
    #[must_use]
    pub fn of(pipeline: &EventPipeline) -> Option<Self> {
        let metadata = &pipeline.metadata;
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            generation: metadata.generation.unwrap_or_default(),
            version: metadata.resource_version.clone()?,
        })
    }

    /// What makes a child ours; the API server deletes it after the pipeline.
    #[must_use]
    pub fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// What events are about.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(KIND.to_owned()),
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// Labels of everything that belongs to this pipeline.
    #[must_use]
    pub fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([
            label("app.kubernetes.io/name", "penstock"),
            label("app.kubernetes.io/instance", &self.name),
            label("app.kubernetes.io/part-of", "penstock"),
            label(names::COMPONENT, component),
            label(names::MANAGED_BY, names::CONTROLLER),
            label(names::PIPELINE, &self.name),
        ])
    }

    /// Labels by which the pods of a component are selected; they never change.
    #[must_use]
    pub fn selector(&self, component: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels(component);
        labels.retain(|key, _| key == names::PIPELINE || key == names::COMPONENT);
        labels
    }

    /// Metadata of a child.
    #[must_use]
    pub fn child(&self, name: &str, component: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![self.owner()]),
            ..ObjectMeta::default()
        }
    }
}
