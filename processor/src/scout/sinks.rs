//! Tries each sink as its kind allows.
//! Layer: shell

use std::{
    io,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use penstock_crds::{
    pipeline::{Sink, SinkBody},
    scout::{FailureKind, ScoutFailure, SinkReport, Weakness},
};

use crate::sinks::{
    SinkError, elasticsearch::Elasticsearch, mongodb::Mongodb, probe, reach, redis::Redis,
};

/// Longest look at one sink.
const LOOK: Duration = Duration::from_secs(10);

/// Tries one sink; `field` is its place in the object, `secrets` the folder of the mounted Secrets.
pub(super) fn probe(
    sink: &Sink,
    field: &str,
    secrets: &Path,
) -> (SinkReport, Option<ScoutFailure>) {
    let field = format!("{field}.{}", sink.body.kind().field());
    let outcome = match &sink.body {
        SinkBody::Embedded { path } => embedded(path, &field),
        remote => ask(remote, secrets).map_err(|error| refusal(&error, &field)),
    };
    let weakness = |found: &probe::Weakness| Weakness {
        field: field.clone(),
        message: format!(
            "{} is {}: {}",
            found.setting, found.found, found.consequence
        ),
    };
    let report = SinkReport {
        name: sink.name.to_string(),
        usable: outcome.is_ok(),
        weaknesses: outcome.iter().flatten().map(weakness).collect(),
    };
    (report, outcome.err())
}

/// Asks a sink that is reached over the network, in a runtime of its own.
fn ask(body: &SinkBody, secrets: &Path) -> Result<Vec<probe::Weakness>, SinkError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable(error.to_string()))?;
    let deadline = Instant::now() + LOOK;
    runtime.block_on(async {
        let look = async {
            match body {
                SinkBody::Elasticsearch(body) => {
                    Elasticsearch::probe(&reach::search_cluster(body, secrets), deadline).await
                }
                SinkBody::Mongodb(body) => {
                    Mongodb::probe(&reach::document_store(body, secrets), deadline).await
                }
                SinkBody::Redis(body) => Redis::probe(&reach::counter_store(body, secrets)).await,
                _ => Ok(Vec::new()),
            }
        };
        let answer = tokio::time::timeout_at(deadline.into(), look).await;
        answer.unwrap_or_else(|_| Err(unavailable("no answer in time".to_owned())))
    })
}

fn unavailable(reason: String) -> SinkError {
    SinkError::Unavailable { reason }
}

fn refusal(error: &SinkError, field: &str) -> ScoutFailure {
    ScoutFailure {
        field: field.to_owned(),
        kind: FailureKind::SinkUnreachable,
        message: error.to_string(),
    }
}

fn embedded(path: &Path, field: &str) -> Result<Vec<probe::Weakness>, ScoutFailure> {
    let outcome = writable(path).map(|()| Vec::new());
    outcome.map_err(|error| ScoutFailure {
        field: format!("{field}.path"),
        kind: FailureKind::SinkUnsuitable,
        message: format!("cannot write beside {}: {error}", path.display()),
    })
}

/// Whether a file can be made in the folder of `path`; nothing is left behind.
fn writable(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let trial = format!(".penstock-scout-{}-{}", std::process::id(), now.as_nanos());
    let trial = folder.unwrap_or(Path::new(".")).join(trial);
    std::fs::File::create_new(&trial)?;
    std::fs::remove_file(trial)
}
