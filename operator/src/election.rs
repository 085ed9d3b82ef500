//! Holds the Lease, or waits for it.
//! Layer: shell
//!
//! One of two replicas works; correctness does not hang on it, for every write carries the version
//! of what it was decided by.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use tokio::sync::watch;

use crate::{
    api::Cluster,
    call::CallError,
    controller::Stop,
    http::Health,
    leadership::Leadership,
    lease::{DURATION, Elector, PERIOD, Record, Step},
    metrics::Leads,
    names,
};

/// After a failed call.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where the Lease is and who we are in it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace of the Lease.
    pub namespace: String,
    /// This replica.
    pub identity: String,
}

/// One replica that runs for the Lease.
pub struct Campaign {
    /// Where the Lease is.
    pub cluster: Cluster,
    /// In which namespace, and who we are.
    pub candidate: Candidate,
    /// Tells every writer until when it may write.
    pub leadership: Leadership,
    /// Told whether the API server is reached.
    pub health: Health,
}

impl Campaign {
    /// Runs for the Lease until told to stop, then gives it back; tells whether it leads.
    pub async fn run(self, (leads, mut stop): (watch::Sender<Leads>, watch::Receiver<Stop>)) {
        let mut elector = Elector::new(&self.candidate.identity);
        while *stop.borrow() == Stop::NotYet {
            let pause = match self.turn(&mut elector).await {
                Ok(pause) => {
                    self.health.reached();
                    pause
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the Lease was not reached");
                    self.health.unreached();
                    AFTER_FAILURE
                }
            };
            let now = self.leadership.now();
            tell(
                &leads,
                if elector.leads(now) {
                    Leads::Yes
                } else {
                    Leads::No
                },
            );
            let stopped = stop.wait_for(|stop| *stop == Stop::Now);
            if tokio::time::timeout(pause, stopped).await.is_ok() {
                break;
            }
        }
        let led = elector.leads(self.leadership.now());
        self.leadership.end();
        tell(&leads, Leads::No);
        if led && let Err(error) = release(&self.cluster, &self.candidate).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the Lease was not given back");
        }
    }

    /// One look at the Lease and what follows; answers when to look again.
    async fn turn(&self, elector: &mut Elector) -> Result<Duration, CallError> {
        let Self {
            cluster,
            candidate,
            leadership,
            ..
        } = self;
        let lease = cluster
            .get::<Lease>(&candidate.namespace, names::CONTROLLER)
            .await?;
        let record = lease.as_ref().map(record);
        match elector.observe(record, leadership.now()) {
            Step::Wait(pause) => {
                leadership.end();
                Ok(pause)
            }
            Step::Take => {
                let begun = leadership.now();
                match take(cluster, candidate, lease).await {
                    Ok(()) => {
                        leadership.extend(elector.taken(begun));
                        Ok(PERIOD)
                    }
                    // another one was quicker
                    Err(CallError::Conflict(_) | CallError::Exists(_)) => Ok(AFTER_FAILURE),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

fn tell(leads: &watch::Sender<Leads>, now: Leads) {
    leads.send_if_modified(|before| std::mem::replace(before, now) != now);
}

fn record(lease: &Lease) -> Record {
    let holder = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.clone());
    Record {
        holder: holder.unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

async fn take(
    cluster: &Cluster,
    candidate: &Candidate,
    lease: Option<Lease>,
) -> Result<(), CallError> {
    let (namespace, now) = (&candidate.namespace, MicroTime(Timestamp::now()));
    let before = lease
        .as_ref()
        .and_then(|lease| lease.spec.clone())
        .unwrap_or_default();
    let ours = before.holder_identity.as_ref() == Some(&candidate.identity);
    let changes = before.lease_transitions.unwrap_or_default();
    let spec = LeaseSpec {
        acquire_time: before
            .acquire_time
            .filter(|_| ours)
            .or_else(|| Some(now.clone())),
        holder_identity: Some(candidate.identity.clone()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        lease_transitions: Some(if ours {
            changes
        } else {
            changes.saturating_add(1)
        }),
        renew_time: Some(now),
        ..LeaseSpec::default()
    };
    match lease {
        None => {
            let metadata = ObjectMeta {
                name: Some(names::CONTROLLER.to_owned()),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            };
            let lease = Lease {
                metadata,
                spec: Some(spec),
            };
            cluster.found(namespace, &lease).await.map(|_| ())
        }
        Some(lease) => {
            let lease = Lease {
                spec: Some(spec),
                ..lease
            };
            cluster
                .replace(namespace, names::CONTROLLER, &lease)
                .await
                .map(|_| ())
        }
    }
}

/// Leaves the Lease to whoever comes, so that nobody has to wait for its end.
async fn release(cluster: &Cluster, candidate: &Candidate) -> Result<(), CallError> {
    let lease = cluster
        .get::<Lease>(&candidate.namespace, names::CONTROLLER)
        .await?;
    let Some(mut lease) = lease.filter(|lease| record(lease).holder == candidate.identity) else {
        return Ok(());
    };
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    cluster
        .replace(&candidate.namespace, names::CONTROLLER, &lease)
        .await
        .map(|_| ())
}
