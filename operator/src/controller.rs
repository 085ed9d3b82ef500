//! The watches and the bounded queue in front of reconcile: one reconcile of a pipeline at a time.
//! Layer: shell

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt, channel::mpsc, stream::SelectAll};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client,
    core::NamespaceResourceScope,
    runtime::{
        Controller,
        controller::{Action, Config, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::watch;

use crate::{
    children, hash,
    http::Health,
    kinds::Kind,
    memory::Memory,
    metrics::Outcome,
    names,
    reconcile::{
        Error, reconcile,
        retry::{self, Directive},
    },
    resource::EventPipeline,
    shared::Shared,
    staleness,
};

/// Looked at again after this time although nothing told us.
const AT_LEAST_EVERY: Duration = Duration::from_secs(3600);
/// Objects of a page when a watch begins: what is decoded at a time.
const PAGE: u32 = 50;
/// Changes of one pipeline within this time are one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Which namespaces are served.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// None is all of them.
    pub namespaces: Vec<String>,
}

impl Scope {
    /// The APIs to watch: one for all namespaces, or one for each.
    #[must_use]
    pub fn each<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        if self.namespaces.is_empty() {
            return vec![Api::all(client.clone())];
        }
        let namespaces = self.namespaces.iter();
        namespaces
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect()
    }

    /// Selects what we made.
    #[must_use]
    pub fn ours() -> watcher::Config {
        let ours = format!("{}={}", names::MANAGED_BY, names::CONTROLLER);
        watcher::Config::default().labels(&ours).page_size(PAGE)
    }
}

/// Reconciles until told to stop; then finishes what runs.
pub async fn run(
    controlled: Controlled,
    concurrency: u16,
    (triggers, stop): (
        mpsc::Receiver<ObjectRef<EventPipeline>>,
        watch::Receiver<Stop>,
    ),
) {
    let Controlled {
        shared,
        scope,
        health,
    } = controlled;
    let client = shared.context.cluster.client();
    shared.context.memory.begin();
    let mut triggers = Some(triggers);
    let mut stores: Vec<Store<EventPipeline>> = Vec::new();
    let mut streams = SelectAll::new();
    for (index, pipelines) in scope.each::<EventPipeline>(&client).into_iter().enumerate() {
        let one = Scope {
            namespaces: scope.namespaces.get(index).cloned().into_iter().collect(),
        };
        let controller = Controller::new(pipelines, watcher::Config::default().page_size(PAGE));
        stores.push(controller.store());
        let triggers = triggers.take();
        let mut stopped = stop.clone();
        let controller = children(controller, &client, &one, &shared.context.memory)
            .reconcile_on(futures::stream::iter(triggers).flatten())
            .with_config(
                Config::default()
                    .concurrency(concurrency)
                    .debounce(DEBOUNCE),
            )
            .graceful_shutdown_on(async move {
                let _ = stopped.wait_for(|stop| *stop == Stop::Now).await;
            });
        streams.push(
            controller
                .run(one_reconcile, after_error, Arc::clone(&shared))
                .boxed(),
        );
    }
    *shared.stores.write() = stores.clone();
    // The streams end by themselves only after a stop.
    futures::join!(log(streams), async {
        for store in stores {
            // a store without a writer belongs to a controller that has ended
            let _ = store.wait_until_ready().await;
        }
        health.synced();
    });
}

/// What the controllers work on.
pub struct Controlled {
    /// What every reconcile works with.
    pub shared: Arc<Shared>,
    /// Where.
    pub scope: Scope,
    /// Told when every pipeline was read.
    pub health: Health,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    NotYet,
    /// Finish what runs, begin nothing.
    Now,
}

fn children(
    controller: Controller<EventPipeline>,
    client: &Client,
    scope: &Scope,
    memory: &Arc<Memory>,
) -> Controller<EventPipeline> {
    let with = (client, scope, memory);
    let controller = children::watch::<ServiceAccount>(controller, Kind::ServiceAccount, with);
    let controller = children::watch::<ConfigMap>(controller, Kind::ConfigMap, with);
    let controller = children::watch::<NetworkPolicy>(controller, Kind::NetworkPolicy, with);
    let controller = children::watch::<Service>(controller, Kind::Service, with);
    let kind = Kind::PodDisruptionBudget;
    let controller = children::watch::<PodDisruptionBudget>(controller, kind, with);
    children::watch::<Deployment>(controller, Kind::Deployment, with)
}

async fn log(
    mut streams: impl Stream<
        Item = Result<(ObjectRef<EventPipeline>, Action), ControllerError<Error, watcher::Error>>,
    > + Unpin,
) {
    while let Some(ended) = streams.next().await {
        match ended {
            Ok(_) | Err(ControllerError::ObjectNotFound(_)) => {}
            Err(ControllerError::ReconcilerFailed(error, pipeline)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%pipeline, error, "not reconciled");
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a watch broke");
            }
        }
    }
}

/// One reconcile of an object as the watch shows it, and when the next is due.
///
/// # Errors
/// Those of the reconcile.
pub async fn one_reconcile(
    object: Arc<EventPipeline>,
    shared: Arc<Shared>,
) -> Result<Action, Error> {
    if shared.context.memory.is_ahead_of(&object, Timestamp::now()) {
        shared.metrics.reconciled(Outcome::Awaited);
        return Ok(Action::requeue(staleness::LOOK_AGAIN));
    }
    let surroundings = shared.surroundings(&object);
    let run = reconcile(&shared.context, &object, surroundings);
    // A bug that one object wakes must not end the others.
    let ended = AssertUnwindSafe(run)
        .catch_unwind()
        .await
        .unwrap_or(Err(Error::Panicked));
    shared.metrics.reconciled(outcome(&ended));
    let again = ended?;
    shared.succeeded(&object);
    Ok(Action::requeue(again.unwrap_or(AT_LEAST_EVERY)))
}

fn outcome(ended: &Result<Option<Duration>, Error>) -> Outcome {
    match ended {
        Ok(_) => Outcome::Done,
        Err(Error::NoIdentity) => Outcome::NoIdentity,
        Err(Error::Observe(_)) => Outcome::ObserveFailed,
        Err(Error::Apply(_)) => Outcome::ApplyFailed,
        Err(Error::Report(_)) => Outcome::ReportFailed,
        Err(Error::Panicked) => Outcome::Panicked,
    }
}

fn after_error(object: Arc<EventPipeline>, error: &Error, shared: Arc<Shared>) -> Action {
    let attempt = shared.failed(&object);
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    match retry::directive(error) {
        Directive::Await => Action::await_change(),
        // Our view of the object is older than the object: the watch is about to bring it.
        Directive::Again if attempt < 5 => {
            Action::requeue(Duration::from_millis(100 + hash::number(uid) % 200))
        }
        Directive::Again | Directive::BackOff => {
            Action::requeue(retry::delay(attempt, uid, retry::LONGEST))
        }
    }
}
