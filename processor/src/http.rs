//! The pod's own address: probes, metrics and status. Nothing here changes anything.
//! Layer: shell

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;

use crate::{health::Verdict, status::Status};

/// Where the answers come from.
pub trait Observed: Send + Sync + 'static {
    /// The whole account.
    fn status(&self) -> Status;
    /// Readiness at the last observation.
    fn readiness(&self) -> Verdict;
    /// Prometheus text.
    fn metrics(&self) -> String;
}

/// Binds the address; port 0 takes a free one.
///
/// # Errors
/// When the address is in use or not this machine's.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `stop` resolves.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(
    listener: TcpListener,
    observed: Arc<dyn Observed>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(observed);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

async fn livez(State(observed): State<Arc<dyn Observed>>) -> impl IntoResponse {
    match observed.readiness() {
        verdict if verdict.is_beyond_help() => (StatusCode::SERVICE_UNAVAILABLE, verdict.reason()),
        _ => (StatusCode::OK, "alive"),
    }
}

async fn readyz(State(observed): State<Arc<dyn Observed>>) -> impl IntoResponse {
    let verdict = observed.readiness();
    let code = match verdict {
        Verdict::Ready => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, verdict.reason())
}

async fn metrics(State(observed): State<Arc<dyn Observed>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        observed.metrics(),
    )
}

async fn status(State(observed): State<Arc<dyn Observed>>) -> Json<Status> {
    Json(observed.status())
}
