//! Watches the metadata of children: what they show is remembered, what is news leads to a reconcile.
//! Layer: shell

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt, future};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Controller,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::{
    controller::Scope,
    kinds::Kind,
    memory::Memory,
    recall::{self, Name, News},
    resource::EventPipeline,
};

/// A child of a kind that was changed by anybody but us leads to its pipeline.
pub fn watch<K>(
    controller: Controller<EventPipeline>,
    kind: Kind,
    (client, scope, memory): (&Client, &Scope, &Arc<Memory>),
) -> Controller<EventPipeline>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut controller = controller;
    let apis = scope.each::<PartialObjectMeta<K>>(client);
    for (index, api) in apis.into_iter().enumerate() {
        let shows = Shows {
            kind,
            namespace: scope.namespaces.get(index).cloned(),
            arriving: HashSet::new(),
            memory: Arc::clone(memory),
        };
        controller = controller.owns_stream(news(api, shows));
    }
    controller
}

fn news<K>(
    api: Api<PartialObjectMeta<K>>,
    mut shows: Shows,
) -> impl Stream<Item = Result<PartialObjectMeta<K>, watcher::Error>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, Scope::ours()).filter_map(move |event| {
        let news = event.map(|event| shows.take(event)).transpose();
        future::ready(news)
    })
}

/// What one watch shows.
#[derive(Debug)]
pub struct Shows {
    /// Of which kind.
    pub kind: Kind,
    /// Where; everywhere when nothing.
    pub namespace: Option<String>,
    /// What a watch that began anew has shown so far.
    pub arriving: HashSet<Name>,
    /// Where it is remembered.
    pub memory: Arc<Memory>,
}

impl Shows {
    /// Remembers an event before anybody is told; answers the object when it is news.
    ///
    /// What arrives while a watch begins anew counts at once, for its reconcile may begin before the
    /// last of it has arrived. A deletion is always news.
    pub fn take<K: Resource>(&mut self, event: Event<K>) -> Option<K> {
        match event {
            Event::Init => self.arriving.clear(),
            Event::InitApply(object) => {
                self.arriving.insert(recall::name(object.meta()));
                return self.shown(object);
            }
            Event::Apply(object) => return self.shown(object),
            Event::Delete(object) => {
                self.memory.hide(self.kind, object.meta());
                return Some(object);
            }
            Event::InitDone => {
                let there = std::mem::take(&mut self.arriving);
                let namespace = self.namespace.as_deref();
                self.memory.show_only(self.kind, namespace, &there);
            }
        }
        None
    }

    fn shown<K: Resource>(&self, object: K) -> Option<K> {
        let news = self.memory.show(self.kind, object.meta());
        (news == News::Yes).then_some(object)
    }
}
