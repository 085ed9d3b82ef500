//! Every call to the API server: each with a deadline, each write only while this replica leads.
//! Layer: shell

use std::{fmt::Debug, sync::Arc, time::Duration};

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, NamespaceResourceScope, ObjectList},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{call::CallError, leadership::Leadership, names::MANAGER};

/// Longest wait for one answer: the client itself has no deadline for reads and repeats throttled
/// calls for minutes.
const DEADLINE: Duration = Duration::from_secs(10);

/// The cluster, as far as this operator may touch it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    leadership: Leadership,
}

/// What a write finds must be what was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The object's identity: a new one of the same name has another.
    pub uid: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

impl Cluster {
    /// A cluster behind a client; writes ask the leadership first.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership) -> Self {
        Self { client, leadership }
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// One object whose kind is known to the compiler; nothing when there is none.
    ///
    /// # Errors
    /// When the API server does not answer in time, or not with an object.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        in_time(api.get_opt(name)).await
    }

    /// One child; nothing when there is none.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn child(
        &self,
        kind: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, CallError> {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, kind);
        in_time(api.get_opt(name)).await
    }

    /// The objects of a namespace with these labels.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn list<K>(&self, namespace: &str, labels: &str) -> Result<ObjectList<K>, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        in_time(api.list(&ListParams::default().labels(labels))).await
    }

    /// Applies a whole child, taking over fields that somebody else set by hand.
    ///
    /// # Errors
    /// When this replica does not lead, or the API server refuses or does not answer in time.
    pub async fn apply(
        &self,
        kind: &ApiResource,
        namespace: &str,
        object: &Value,
    ) -> Result<DynamicObject, CallError> {
        self.leadership.check()?;
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, kind);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let how = PatchParams::apply(MANAGER).force();
        in_time(api.patch(name, &how, &Patch::Apply(object))).await
    }

    /// Makes an object that is never changed afterwards.
    ///
    /// # Errors
    /// As [`Cluster::apply`]; [`CallError::Exists`] when there is one of this name.
    pub async fn create<K>(&self, namespace: &str, object: &K) -> Result<K, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug + Serialize,
    {
        self.leadership.check()?;
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let how = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        in_time(api.create(&how, object)).await
    }

    /// Changes some fields of an object.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn merge<K>(
        &self,
        namespace: &str,
        name: &str,
        change: &Value,
        manager: &str,
    ) -> Result<K, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        self.leadership.check()?;
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let how = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        in_time(api.patch(name, &how, &Patch::Merge(change))).await
    }

    /// Changes the status of an object.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn merge_status<K>(
        &self,
        namespace: &str,
        name: &str,
        change: &Value,
    ) -> Result<K, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        self.leadership.check()?;
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let how = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        in_time(api.patch_status(name, &how, &Patch::Merge(change))).await
    }

    /// Deletes the very object that was seen; one that is gone already is deleted.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn delete<K>(&self, namespace: &str, name: &str, seen: &Seen) -> Result<(), CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug,
    {
        self.leadership.check()?;
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let preconditions = Preconditions {
            uid: seen.uid.clone(),
            resource_version: None,
        };
        let how = DeleteParams::background().preconditions(preconditions);
        match in_time(api.delete(name, &how)).await {
            Ok(_) | Err(CallError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces an object if it is still of the version that it carries.
    ///
    /// # Errors
    /// As [`Cluster::get`], and [`CallError::Conflict`] when it was changed meanwhile. The
    /// leadership is not asked: this is how it is won.
    pub async fn replace<K>(&self, namespace: &str, name: &str, object: &K) -> Result<K, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug + Serialize,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        in_time(api.replace(name, &PostParams::default(), object)).await
    }

    /// Makes an object without asking the leadership: this is how it is won.
    ///
    /// # Errors
    /// As [`Cluster::create`].
    pub async fn found<K>(&self, namespace: &str, object: &K) -> Result<K, CallError>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Debug + Serialize,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        in_time(api.create(&PostParams::default(), object)).await
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => answer.map_err(CallError::of),
        Err(_) => Err(CallError::Deadline),
    }
}

/// Shared by everything that reconciles.
pub type SharedCluster = Arc<Cluster>;
