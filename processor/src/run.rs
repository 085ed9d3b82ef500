//! Wires source → dispatcher → stages → sinks in that order, and takes it down the other way.
//! Layer: shell

pub mod last_words;
mod assemble;
mod outside;
mod running;
mod follow;
mod trail;
mod start;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use penstock_crds::pipeline::ValidatedPipeline;
use penstock_sizing::{Bytes, Plan, Refusal};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

pub(crate) use self::assemble::bootstrap;
pub use self::{
    running::Running,
    start::{log_to_stderr, main_with},
};
use crate::{
    allocator,
    control::Control,
    http,
    law::Law,
    limit::{Agreement, LimitError, MemoryGroup},
    observe::Observatory,
    plan::{self, Facts},
    settings_file::SettingsFile,
    sinks::SinkError,
    source::SourceError,
    stages::{BuildFault, custom::Registry},
};

/// Between two rounds of parked keys whose time has come.
const TICK: Duration = Duration::from_millis(10);

/// Between two looks at the working set.
const GOVERN: Duration = Duration::from_millis(250);

/// Between two judgements of progress, and between two looks at the settings file.
const OBSERVE: Duration = Duration::from_secs(1);

/// What to run.
pub struct Options {
    /// The pipeline.
    pub pipeline: ValidatedPipeline,
    /// What is known of the cluster beside it.
    pub facts: Facts,
    /// Where the Secrets are mounted, each in a folder of its name.
    pub secrets: PathBuf,
    /// Where the pipeline came from, to follow its state; `None` keeps the state of the start.
    pub settings: Option<SettingsFile>,
    /// Where the status is served; port 0 takes a free one.
    pub status_address: SocketAddr,
    /// The stages of the user's own binary.
    pub registry: Registry,
    /// The container's termination log, where a pod that is killed has left what it was reading.
    pub termination_log: Option<PathBuf>,
}

/// Why a processor did not start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The control group cannot be read.
    #[error("failed to read the memory limit")]
    Limit(#[from] LimitError),
    /// The limit that the kernel enforces cannot hold this pipeline.
    #[error("the memory limit is too small ({agreement}): {refusal}")]
    Refused {
        /// How settings and control group compare.
        agreement: Agreement,
        /// The ledger and what would be legal.
        refusal: Refusal,
    },
    /// jemalloc is not the allocator.
    #[error("failed to set the allocator up: {0}")]
    Allocator(String),
    /// No threads, or no address.
    #[error("failed to {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A sink cannot be opened.
    #[error("failed to open sink {name}")]
    Sink {
        /// Its name in the object.
        name: String,
        /// Why not.
        source: SinkError,
    },
    /// Stages cannot be made.
    #[error("failed to make the stages: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Stages(Vec<BuildFault>),
    /// The source did not start.
    #[error("failed to start the source")]
    Source(#[from] SourceError),
    /// The source thread ended without being told to.
    #[error("the source ended by itself")]
    SourceEnded,
    /// The client hung in its close; what was finished is committed or will be repeated.
    #[error("the kafka client did not close in time and was left behind")]
    Abandoned,
}

/// Runs a pipeline until SIGTERM or SIGINT, then drains, commits and leaves the group.
///
/// # Errors
/// When it cannot start, or when the source ends.
pub fn run(options: Options) -> Result<(), RunError> {
    let memory = MemoryGroup::find("/".as_ref())?;
    let settings_limit = Bytes(options.pipeline.resources.memory_limit.bytes());
    let agreement = Agreement::of(settings_limit, memory.read()?.limit);
    let plan = derive(&options, agreement)?;
    allocator::set_up(&plan.runtime).map_err(|error| RunError::Allocator(error.to_string()))?;
    tracing::info!(pipeline = %options.pipeline.name, limit = %plan.limit, %agreement, "starting");
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(plan.runtime.threads as usize)
        .max_blocking_threads(plan.runtime.blocking_threads as usize)
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            what: "start the runtime",
            source,
        })?;
    runtime.block_on(serve(options, plan, (memory, agreement)))
}

/// The plan for the limit that the kernel enforces, or for that of the settings without one.
fn derive(options: &Options, agreement: Agreement) -> Result<Plan, RunError> {
    let demand = plan::demand(&options.pipeline, &options.facts);
    penstock_sizing::derive(agreement.limit(), &demand)
        .map_err(|refusal| RunError::Refused { agreement, refusal })
}

async fn serve(
    mut options: Options,
    plan: Plan,
    (memory, agreement): (MemoryGroup, Agreement),
) -> Result<(), RunError> {
    // First of all: from here on a stop is a clean one.
    let stop = Stop::listen()?;
    let listener = http::bind(options.status_address)
        .await
        .map_err(|source| RunError::System {
            what: "bind the status address",
            source,
        })?;
    let mut settings = options.settings.take();
    let control = Control::new(options.pipeline.clone(), Instant::now());
    let running = Running::start(&options, &plan)?;
    let observatory = Arc::new(Observatory {
        pipeline: options.pipeline.name.to_string(),
        topics: running.line.topics.clone(),
        law: Mutex::new(Law::new(
            plan::demand(&options.pipeline, &options.facts),
            Bytes(options.pipeline.resources.memory_limit.bytes()),
            agreement,
            plan,
        )),
        memory,
        dispatcher: running.line.dispatcher.clone(),
        workshop: Arc::clone(&running.line.workshop),
        stores: running.line.stores.clone(),
        source: Box::new(running.source.facts_reader()),
        control: Mutex::new(control),
        watch: Default::default(),
    });
    let page = tokio::spawn(http::serve(
        listener,
        Arc::clone(&observatory) as _,
        std::future::pending(),
    ));
    let trail = trail::Trail::new(options.termination_log);
    let watchers = (&*observatory, &trail);
    let ended = until_told(stop, &running, watchers, &mut settings).await;
    observatory.stop();
    let stopped = running.stop(options.pipeline.drain_timeout).await;
    page.abort();
    trail.erase();
    ended.and(stopped)
}

/// The signals that mean the end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, RunError> {
        let listen = |kind| {
            signal(kind).map_err(|source| RunError::System {
                what: "listen for signals",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }
}

/// Keeps time until a signal comes or the source ends.
async fn until_told(
    mut stop: Stop,
    running: &Running,
    (observatory, trail): (&Observatory, &trail::Trail),
    settings: &mut Option<SettingsFile>,
) -> Result<(), RunError> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // An idle process has nothing to wake up for a hundred times a second.
    let mut waiting = true;
    let mut observations = tokio::time::interval(OBSERVE);
    let mut samples = tokio::time::interval(GOVERN);
    loop {
        tokio::select! {
            _ = stop.terminate.recv() => return Ok(()),
            _ = stop.interrupt.recv() => return Ok(()),
            _ = samples.tick() => {
                running.check()?;
                observatory.govern();
                running.follow(observatory);
            }
            _ = observations.tick() => {
                observatory.observe(Instant::now());
                settings.iter_mut().for_each(|file| observatory.follow(file));
                trail.leave(observatory);
            }
            _ = ticks.tick(), if waiting => waiting = running.tick(),
            () = running.parked(), if !waiting => waiting = true,
        }
    }
}
