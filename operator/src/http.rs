//! `/livez`, `/readyz` and `/metrics`.
//! Layer: shell

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};

use crate::metrics::{Leads, Metrics};

/// Whether this replica does its work: it leads and sees the pipelines, or it stands by and sees
/// who leads.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    lease: AtomicBool,
    leads: AtomicBool,
    pipelines: AtomicBool,
}

impl Health {
    /// The Lease was read.
    pub fn reached(&self) {
        self.0.lease.store(true, Ordering::Relaxed);
    }

    /// The Lease could not be read.
    pub fn unreached(&self) {
        self.0.lease.store(false, Ordering::Relaxed);
    }

    /// This replica leads from now on, or does no longer; either way it sees no pipelines yet.
    pub fn leads(&self, leads: Leads) {
        self.0.pipelines.store(false, Ordering::Relaxed);
        self.0.leads.store(leads == Leads::Yes, Ordering::Relaxed);
    }

    /// Every pipeline was read.
    pub fn synced(&self) {
        self.0.pipelines.store(true, Ordering::Relaxed);
    }

    fn code(&self) -> StatusCode {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let works = !is(&self.0.leads) || is(&self.0.pipelines);
        if is(&self.0.lease) && works {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// The routes.
pub fn routes(health: Health, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || StatusCode::OK))
        .route("/readyz", get(async move || health.code()))
        .route("/metrics", get(async move || metrics.page()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_leads_and_sees_or_stands_by_and_knows() {
        let health = Health::default();
        assert_eq!(health.code(), StatusCode::SERVICE_UNAVAILABLE);
        health.reached();
        assert_eq!(health.code(), StatusCode::OK);
        health.leads(Leads::Yes);
        assert_eq!(health.code(), StatusCode::SERVICE_UNAVAILABLE);
        health.synced();
        assert_eq!(health.code(), StatusCode::OK);
        health.unreached();
        assert_eq!(health.code(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
