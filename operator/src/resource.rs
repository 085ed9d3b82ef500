//! The object as the operator watches it.
//! Layer: core
//!
//! The spec is kept as text, so that an object which this release cannot read costs no other object
//! anything.

use std::{borrow::Cow, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use penstock_crds::event_pipeline::{API_VERSION, KIND};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::form::PipelineStatus;

/// Group of the object.
pub const GROUP: &str = "penstock.dev";
/// Version of the object.
pub const VERSION: &str = "v1alpha1";
/// Plural of the object.
pub const PLURAL: &str = "eventpipelines";

/// One pipeline object.
#[derive(Clone, Debug, Deserialize)]
pub struct EventPipeline {
    /// Without what the operator never looks at: managed fields, the last applied configuration.
    #[serde(deserialize_with = "pruned")]
    pub metadata: ObjectMeta,
    /// What the user asks for.
    #[serde(default)]
    pub spec: Spec,
    /// What was last said about it; nothing when it cannot be read, and then it is written anew.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<PipelineStatus>,
}

/// The spec as compact JSON, and the fields by which pipelines are compared with each other.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// JSON.
    pub text: Arc<str>,
    /// `source.consumerGroup`.
    pub group: Option<Box<str>>,
    /// `source.bootstrapServers`.
    pub servers: Vec<Box<str>>,
    /// `state`.
    pub state: Option<Box<str>>,
}

impl Spec {
    /// The spec of a tree.
    #[must_use]
    pub fn new(tree: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(Box::from);
        let source = &tree["source"];
        let servers = source["bootstrapServers"].as_array();
        Self {
            text: tree.to_string().into(),
            group: text(&source["consumerGroup"]),
            servers: servers.into_iter().flatten().filter_map(text).collect(),
            state: text(&tree["state"]),
        }
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|tree| Self::new(&tree))
    }
}

impl EventPipeline {
    /// The object as one text, as a user would have written it.
    #[must_use]
    pub fn document(&self) -> String {
        let spec: Value = serde_json::from_str(&self.spec.text).unwrap_or_default();
        let metadata = json!({"name": self.metadata.name, "namespace": self.metadata.namespace});
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec})
            .to_string()
    }
}

impl kube::Resource for EventPipeline {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn pruned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut metadata = ObjectMeta::deserialize(deserializer)?;
    metadata.managed_fields = None;
    metadata.annotations = None;
    Ok(metadata)
}

fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PipelineStatus>, D::Error> {
    let tree = Option::<Value>::deserialize(deserializer)?;
    Ok(tree.and_then(|tree| PipelineStatus::deserialize(tree).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_another_time_is_read_all_the_same() {
        let object = json!({
            "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]},
            "spec": {"source": {"consumerGroup": 7, "bootstrapServers": ["k:1", 2]}, "odd": null},
            "status": {"conditions": "none"},
        });
        let read: EventPipeline = serde_json::from_value(object).unwrap();
        assert_eq!(read.metadata.managed_fields, None);
        assert_eq!(read.spec.group, None);
        assert_eq!(read.spec.servers, [Box::from("k:1")]);
        assert!(read.status.is_none());
        assert!(read.document().contains("\"odd\":null"));
    }

    #[test]
    fn group_and_version_are_those_of_the_object() {
        assert_eq!(API_VERSION, format!("{GROUP}/{VERSION}"));
    }
}
