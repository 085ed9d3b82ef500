//! Wires the operator: the Lease, the watches while it is held, the pages, the end.
//! Layer: shell

use std::{sync::Arc, time::Duration};

use futures::channel::mpsc;
use kube::Client;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    api::Cluster,
    arguments::Arguments,
    controller::{self, Controlled, Scope, Stop},
    election::{Campaign, Candidate},
    http::{Health, routes},
    leadership::Leadership,
    metrics::{Leads, Metrics},
    pods,
    reconcile::{Context, validate::Policy},
    scrape,
    shared::Shared,
};

/// Longest wait for running reconciles at the end: each of their calls has a deadline of its own.
const LAST_RECONCILES: Duration = Duration::from_secs(12);

/// Why the operator could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No cluster is configured.
    #[error("failed to find a cluster: no service account and no kubeconfig")]
    Cluster(#[source] kube::Error),
    /// The pages cannot be served.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be caught.
    #[error("failed to wait for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub async fn run(arguments: Arguments) -> Result<(), RunError> {
    let client = Client::try_default().await.map_err(RunError::Cluster)?;
    let address = arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| RunError::Listen { address, source })?;
    let ended = signals().map_err(RunError::Signals)?;
    let (health, metrics) = (Health::default(), Arc::new(Metrics::default()));
    let pages = axum::serve(listener, routes(health.clone(), Arc::clone(&metrics)));
    let pages = tokio::spawn(pages.into_future());
    let leadership = Leadership::none();
    let shared = Arc::new(Shared::new(
        context(client, &leadership, &arguments),
        metrics,
    ));
    let candidate = Candidate {
        namespace: arguments.lease_namespace.clone(),
        identity: arguments.identity.clone(),
    };
    let (leads, led) = watch::channel(Leads::No);
    let (stop, stopped) = watch::channel(Stop::NotYet);
    let cluster = shared.context.cluster.clone();
    let campaign = Campaign {
        cluster,
        candidate,
        leadership,
        health: health.clone(),
    };
    let lease = tokio::spawn(campaign.run((leads, stopped)));
    let stage = Stage {
        shared,
        arguments,
        health,
    };
    let work = stage.lead_when_elected(led, ended).await;
    tracing::info!("stopping");
    if let Some(work) = work {
        work.finish().await;
    }
    stop.send_replace(Stop::Now);
    if let Err(error) = lease.await {
        tracing::error!(%error, "the Lease was not given back");
    }
    pages.abort();
    Ok(())
}

/// Resolves at SIGTERM or SIGINT.
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What the work is done with.
struct Stage {
    shared: Arc<Shared>,
    arguments: Arguments,
    health: Health,
}

impl Stage {
    /// Works while the Lease is held; answers the work under way at the end.
    async fn lead_when_elected(
        &self,
        mut led: watch::Receiver<Leads>,
        ended: impl Future<Output = ()>,
    ) -> Option<Work> {
        let mut work: Option<Work> = None;
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => return work,
                changed = led.changed() => if changed.is_err() {
                    return work;
                },
            }
            let leads = *led.borrow_and_update();
            tracing::info!(?leads, "the Lease changed");
            self.shared.metrics.leads(leads);
            self.health.leads(leads);
            // Without the Lease nothing may be written, so there is nothing to finish.
            work = match leads {
                Leads::Yes => Some(work.unwrap_or_else(|| self.begin())),
                Leads::No => None,
            };
        }
    }

    fn begin(&self) -> Work {
        let (stop, stopped) = watch::channel(Stop::NotYet);
        let scope = Scope {
            namespaces: self.arguments.namespace.clone(),
        };
        let (triggers, triggered) = mpsc::channel(pods::TRIGGERS);
        let client = self.shared.context.cluster.client();
        let roster = self.shared.new_roster();
        let mut tasks = JoinSet::new();
        tasks.spawn(pods::follow(
            client,
            scope.clone(),
            Arc::clone(&roster),
            triggers.clone(),
        ));
        tasks.spawn(scrape::rounds(Arc::clone(&self.shared), roster, triggers));
        let mut controllers = JoinSet::new();
        controllers.spawn(controller::run(
            Controlled {
                shared: Arc::clone(&self.shared),
                scope,
                health: self.health.clone(),
            },
            self.arguments.max_concurrent_reconciles,
            (triggered, stopped),
        ));
        Work {
            stop,
            tasks,
            controllers,
        }
    }
}

/// What runs while the Lease is held; dropping it ends it.
struct Work {
    stop: watch::Sender<Stop>,
    /// Watches and scrapes, which may end at any time.
    tasks: JoinSet<()>,
    /// Reconciles, which may finish.
    controllers: JoinSet<()>,
}

impl Work {
    /// Begins nothing more and waits for what runs.
    async fn finish(mut self) {
        self.tasks.abort_all();
        self.stop.send_replace(Stop::Now);
        let finished = async { while self.controllers.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_RECONCILES, finished)
            .await
            .is_err()
        {
            tracing::warn!("some reconciles did not finish in time; the next leader goes on");
        }
    }
}

fn context(client: Client, leadership: &Leadership, arguments: &Arguments) -> Context {
    Context {
        cluster: Cluster::new(client, leadership.clone()),
        policy: Policy {
            processor_image: arguments.processor_image.clone(),
            allowed_image_prefixes: arguments.allowed_image_prefix.clone(),
        },
        instance: arguments.identity.clone(),
        memory: Arc::default(),
    }
}
