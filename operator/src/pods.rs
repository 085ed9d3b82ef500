//! Watches pods: where those of the fleets can be asked, and whose pipeline to look at again.
//! Layer: shell

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use futures::{Stream, StreamExt, channel::mpsc};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, reflector::ObjectRef, watcher},
};
use parking_lot::Mutex;

use crate::{controller::Scope, names, resource::EventPipeline, shared::Key};

/// Pods that were changed and whose pipelines nobody has looked at yet. When it is full the watch
/// waits, and with it the API server's events.
pub const TRIGGERS: usize = 1024;

/// Running pods of the fleets by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<HashMap<Key, Address>>>);

/// Where a pod can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its pipeline.
    pub pipeline: String,
    /// Its address.
    pub ip: IpAddr,
}

impl Addresses {
    /// All of them, now.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Address)> {
        let addresses = self.0.lock();
        addresses
            .iter()
            .map(|(key, address)| (key.clone(), address.clone()))
            .collect()
    }

    fn put(&self, pod: &Pod) {
        let Some((key, address)) = key(pod).zip(Some(address(pod))) else {
            return;
        };
        match address {
            Some(address) => self.0.lock().insert(key, address),
            None => self.0.lock().remove(&key),
        };
    }

    fn remove(&self, pod: &Pod) {
        if let Some(key) = key(pod) {
            self.0.lock().remove(&key);
        }
    }
}

/// Follows the pods of a scope for as long as it is polled.
pub async fn follow(
    client: Client,
    scope: Scope,
    addresses: Addresses,
    triggers: mpsc::Sender<ObjectRef<EventPipeline>>,
) {
    let watches = scope
        .each::<Pod>(&client)
        .into_iter()
        .map(|api| watch(api).boxed());
    let mut events = futures::stream::select_all(watches);
    let mut triggers = triggers;
    while let Some(event) = events.next().await {
        let pod = match event {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                addresses.put(&pod);
                pod
            }
            Ok(watcher::Event::Delete(pod)) => {
                addresses.remove(&pod);
                pod
            }
            // A pod that went while the watch was broken does not answer and is then forgotten.
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "the watch on pods broke; it begins anew");
                continue;
            }
        };
        if let Some(pipeline) = pipeline(&pod)
            && futures::SinkExt::send(&mut triggers, pipeline)
                .await
                .is_err()
        {
            return;
        }
    }
}

fn watch(api: Api<Pod>) -> impl Stream<Item = Result<watcher::Event<Pod>, watcher::Error>> {
    watcher(api, Scope::ours()).default_backoff()
}

fn pipeline(pod: &Pod) -> Option<ObjectRef<EventPipeline>> {
    let name = pod.metadata.labels.as_ref()?.get(names::PIPELINE)?;
    Some(ObjectRef::new(name).within(pod.metadata.namespace.as_deref()?))
}

fn key(pod: &Pod) -> Option<Key> {
    Some((pod.metadata.namespace.clone()?, pod.metadata.name.clone()?))
}

/// The address of a processor whose container runs.
fn address(pod: &Pod) -> Option<Address> {
    let labels = pod.metadata.labels.as_ref()?;
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_ref()?;
    let runs = containers.iter().any(|container| {
        container
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    });
    let processor = labels
        .get(names::COMPONENT)
        .is_some_and(|is| is == names::PROCESSOR);
    if !runs || !processor {
        return None;
    }
    let ip = status.pod_ip.as_ref()?.parse().ok()?;
    Some(Address {
        pipeline: labels.get(names::PIPELINE)?.clone(),
        ip,
    })
}
