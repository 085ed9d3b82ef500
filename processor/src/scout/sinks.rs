//! Tries each sink as its kind allows.
//! Layer: shell

use std::{
    io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use penstock_crds::{
    pipeline::{Sink, SinkBody},
    scout::{FailureKind, ScoutFailure, SinkReport},
};

/// Tries one sink; `field` is its place in the object.
pub(super) fn probe(sink: &Sink, field: &str) -> (SinkReport, Option<ScoutFailure>) {
    let outcome = match &sink.body {
        SinkBody::Embedded { path } => writable(path).map_err(|error| ScoutFailure {
            field: format!("{field}.embedded.path"),
            kind: FailureKind::SinkUnsuitable,
            message: format!("cannot write beside {}: {error}", path.display()),
        }),
        other => Err(ScoutFailure {
            field: format!("{field}.{}", other.kind().field()),
            kind: FailureKind::SinkUnsuitable,
            message: "this kind is not built into this version".to_owned(),
        }),
    };
    let report = SinkReport {
        name: sink.name.to_string(),
        usable: outcome.is_ok(),
        ..SinkReport::default()
    };
    (report, outcome.err())
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
