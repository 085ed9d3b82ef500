//! The scout: tries source and sinks before a fleet is changed, and watches the lag of none.
//! Layer: shell

mod admin;
mod brokers;
mod findings;
mod lag;
mod sinks;

use std::path::Path;

use penstock_crds::{pipeline::ValidatedPipeline, scout::ScoutReport};

pub use lag::{WatchError, keep_watch};

/// Tries source and sinks once. Takes at most 15 seconds for the brokers and as long as its
/// deadline for each sink.
#[must_use]
pub fn look(pipeline: &ValidatedPipeline, secrets: &Path) -> ScoutReport {
    let mut report = match brokers::visit(pipeline, secrets) {
        Ok(report) => report,
        Err(failure) => ScoutReport {
            failure: Some(failure),
            ..ScoutReport::default()
        },
    };
    for (index, sink) in pipeline.sinks.iter().enumerate() {
        let field = format!("spec.sinks[{index}]");
        let (sink, failure) = sinks::probe(sink, &field, secrets);
        report.sinks.push(sink);
        report.failure = report.failure.or(failure);
    }
    report
}
