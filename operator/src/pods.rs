//! Watches pods: where those of the fleets can be asked, and whose pipeline to look at again.
//! Layer: shell

use std::sync::Arc;

use futures::{Stream, StreamExt, channel::mpsc};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        reflector::ObjectRef,
        watcher::{self, Event, watcher},
    },
};
use parking_lot::Mutex;

use crate::{
    controller::Scope,
    recall::Name,
    resource::EventPipeline,
    roster::{Roster, Watched},
};

/// Pods that were changed and whose pipelines nobody has looked at yet. When it is full the watch
/// waits, and with it the API server's events.
pub const TRIGGERS: usize = 1024;

/// The pods of all pipelines. Each time that the Lease is won begins with another one, so that a
/// watch of before cannot write into it.
pub type SharedRoster = Arc<Mutex<Roster>>;

/// Follows the pods of a scope for as long as it is polled.
pub async fn follow(
    client: Client,
    scope: Scope,
    roster: SharedRoster,
    triggers: mpsc::Sender<ObjectRef<EventPipeline>>,
) {
    let apis = scope.each::<Pod>(&client).into_iter().enumerate();
    let watches = apis.map(|(index, api)| {
        let watched = scope.namespaces.get(index).cloned();
        watch(api)
            .map(move |event| (watched.clone(), event))
            .boxed()
    });
    let mut events = futures::stream::select_all(watches);
    let mut triggers = triggers;
    while let Some((watched, event)) = events.next().await {
        let news = match event {
            Ok(event) => take(&mut roster.lock(), &watched, event),
            Err(error) => {
                tracing::warn!(%error, "the watch on pods broke; it begins anew");
                continue;
            }
        };
        for (namespace, name) in news {
            let pipeline = ObjectRef::new(&name).within(&namespace);
            let sent = futures::SinkExt::send(&mut triggers, pipeline).await;
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Keeps an event, before anybody is told of it; answers the pipelines to look at.
pub fn take(roster: &mut Roster, watched: &Watched, event: Event<Pod>) -> Vec<Name> {
    let one = match event {
        Event::Init => {
            roster.begin(watched);
            None
        }
        Event::InitApply(pod) => roster.arrive(watched, &pod),
        Event::InitDone => return roster.complete(watched),
        Event::Apply(pod) => roster.show(&pod),
        Event::Delete(pod) => roster.hide(&pod),
    };
    one.into_iter().collect()
}

fn watch(api: Api<Pod>) -> impl Stream<Item = Result<Event<Pod>, watcher::Error>> {
    watcher(api, Scope::ours()).default_backoff()
}
