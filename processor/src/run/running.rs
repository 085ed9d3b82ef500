//! The line at work in the caller's runtime, without status page, signals and control group.
//! Layer: shell

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use penstock_crds::pipeline::State;
use penstock_sizing::Plan;
use tokio::task::JoinSet;

use super::{
    Options, RunError, TICK,
    assemble::{self, Line},
};
use crate::{
    account,
    dispatch::pool::Gate,
    metrics::Counters,
    source::{Source, client::Closed},
};

/// Time that records which are still running get when the group is left.
const LAST: Duration = Duration::from_secs(1);

/// Time kept from the grace for closing the client and the sinks.
const CLOSE: Duration = Duration::from_secs(6);

/// Least time for what the sinks hold back for others.
const PASS_ON: Duration = Duration::from_secs(2);

/// Source, dispatcher, stages and sinks of one pipeline, running. [`super::run`] puts the process
/// around it; a measurement has its own.
pub struct Running {
    pub(super) line: Line,
    pub(super) source: Source,
    workers: JoinSet<()>,
}

impl Running {
    /// Opens the sinks and starts workers and source; call it inside a runtime.
    ///
    /// # Errors
    /// When a sink or stage cannot be made, or the client refuses its settings.
    pub fn start(options: &Options, plan: &Plan) -> Result<Self, RunError> {
        let line = assemble::line(options, plan)?;
        if options.pipeline.state != State::Running {
            line.dispatcher.close_gate(Gate::Operator);
        }
        let workers = line.start_workers(plan);
        let settings = line.source_settings(options, plan);
        let source = Source::start(settings, line.intake(options))?;
        Ok(Self {
            line,
            source,
            workers,
        })
    }

    /// Makes the keys ready whose retry time has come; whether others still wait. Call it every few
    /// milliseconds while there are such, and again after [`Running::parked`].
    pub fn tick(&self) -> bool {
        self.line.dispatcher.tick(self.line.workshop.clock.tick())
    }

    /// Completes when a key has begun to wait for its retry time.
    pub async fn parked(&self) {
        self.line.dispatcher.parked().await;
    }

    /// Looks whether the source is at work; call it now and then.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn check(&self) -> Result<(), RunError> {
        match self.source.is_finished() {
            true => Err(RunError::SourceEnded),
            false => Ok(()),
        }
    }

    /// Outcomes; they outlive the line.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.line.workshop.counters)
    }

    /// Finishes what was admitted, then the source, so that it is committed; then workers and sinks.
    ///
    /// # Errors
    /// When the client did not close in time, or the source had ended before.
    pub async fn stop(self, grace: Duration) -> Result<(), RunError> {
        let Self {
            line,
            source,
            mut workers,
        } = self;
        let left = grace.saturating_sub(CLOSE + LAST);
        let end = Instant::now() + left;
        settle(&line, left.saturating_sub(PASS_ON)).await;
        pass_on(&line, end).await;
        source.stop(LAST);
        let closed = tokio::task::spawn_blocking(move || source.join()).await;
        line.dispatcher.close();
        // A worker that hangs in a sink is not waited for: its record is not committed.
        let _ = tokio::time::timeout(CLOSE, async {
            while workers.join_next().await.is_some() {}
        })
        .await;
        workers.abort_all();
        match closed {
            Ok(Ok(Closed::Clean)) => Ok(()),
            Ok(Ok(Closed::Abandoned)) => Err(RunError::Abandoned),
            Ok(Err(_)) | Err(_) => Err(RunError::SourceEnded),
        }
    }
}

/// Lets the sinks pass on what they hold back for others. What does not get through stays marked,
/// for the next process.
async fn pass_on(line: &Line, deadline: Instant) {
    for (name, sink) in &line.stores.sinks {
        if let Err(error) = sink.flush(deadline).await {
            tracing::warn!(%name, %error, "the last flush is left to the next process");
        }
    }
}

/// Finishes what was admitted, as far as `grace` allows, so that a clean stop repeats nothing.
async fn settle(line: &Line, grace: Duration) {
    line.dispatcher.close_gate(Gate::Shutdown);
    let settled = async {
        let mut ticks = tokio::time::interval(TICK);
        while !account::settled(&line.dispatcher.snapshot()) {
            ticks.tick().await;
            line.dispatcher.tick(line.workshop.clock.tick());
        }
    };
    if tokio::time::timeout(grace, settled).await.is_err() {
        tracing::warn!("records were still running at the end of the grace: they are repeated");
    }
}
