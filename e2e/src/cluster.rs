//! `cargo e2e cluster`: a kind cluster, the charts, a real Kafka, and what a user sees of it all.
//! Layer: shell

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::ValueEnum;

use crate::{
    build::{self, BuildError},
    describe,
    feed::FeedError,
    fresh_seed,
    interrupt::{self, Interrupted},
    kafka::{Broker, BrokerError},
    observe::ObserveError,
    services::ServiceError,
    sinks::SinksError,
    topics::TopicError,
};

mod audit;
mod ground;
mod images;
mod install;
mod kubectl;
mod kubelet;
mod manifest;
mod owned;
mod proxy;
mod scenario;
mod view;
mod world;

use ground::{Ground, Keep};
pub(crate) use ground::{GroundError, helm};
use images::Images;
pub(crate) use images::repository;
use install::InstallError;
use kubectl::{Kubectl, KubectlError};
use scenario::Scenario;

/// Arguments of `cargo e2e cluster`.
#[derive(clap::Args)]
pub(crate) struct ClusterArguments {
    /// The quick half of the scenarios and a tenth of the records, for every change.
    #[arg(long)]
    short: bool,
    /// Only these scenarios; may be repeated.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Leaves the cluster up, for a person and for the next run.
    #[arg(long)]
    keep: bool,
    /// Only brings the cluster up with Penstock in it, prints how to reach it, and keeps it.
    #[arg(long)]
    only_up: bool,
    /// The node image; by default kind's public one, or one built here where none can be pulled.
    #[arg(long, value_name = "IMAGE")]
    node_image: Option<String>,
    /// A folder with penstock-operator and penstock-processor; by default built from this workspace.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Repeats a run's choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
}

/// Why a scenario failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// A promise to the user that did not hold.
    #[error("{0}")]
    Broken(String),
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    #[error(transparent)]
    Ground(#[from] GroundError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Sinks(#[from] SinksError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl CheckError {
    fn broken(said: impl Into<String>) -> Self {
        Self::Broken(said.into())
    }
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("bring the cluster up")]
    Ground(#[from] GroundError),
    #[error("install the charts")]
    Install(#[from] InstallError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("write to standard output")]
    Output(#[from] io::Error),
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// For every change.
    Short,
    /// As promised.
    Full,
}

impl Length {
    /// One of two values.
    pub(crate) fn pick<T>(self, short: T, full: T) -> T {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// Where scenarios run.
pub(crate) struct Site<'a> {
    /// The cluster.
    pub(crate) ground: &'a Ground,
    /// Its client.
    pub(crate) kubectl: Kubectl,
    /// What runs in it.
    pub(crate) images: Images,
    /// The broker that pods and this program share.
    pub(crate) broker: &'a Broker,
    /// Start of every choice.
    pub(crate) seed: u64,
    /// How much of everything.
    pub(crate) length: Length,
}

/// Brings everything up, runs the scenarios, and takes everything down.
pub(crate) fn run(arguments: &ClusterArguments) -> Result<ExitCode, ClusterError> {
    interrupt::listen();
    let keep = if arguments.keep || arguments.only_up {
        Keep::Keep
    } else {
        Keep::Delete
    };
    let started = Instant::now();
    let ground = Ground::up(arguments.node_image.as_deref(), keep)?;
    interrupt::check()?;
    progress("cluster", started)?;
    let images = images::build(&ground, arguments.programs.as_deref(), &build::scratch()?)?;
    interrupt::check()?;
    progress("images", started)?;
    install::charts(&ground, &images)?;
    progress("charts", started)?;
    if arguments.only_up {
        writeln!(io::stdout(), "{}", ground.environment())?;
        return Ok(ExitCode::SUCCESS);
    }
    let broker = Broker::start_at(ground.gateway)?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let site = Site {
        kubectl: ground.kubectl(),
        ground: &ground,
        images,
        broker: &broker,
        seed,
        length: if arguments.short {
            Length::Short
        } else {
            Length::Full
        },
    };
    scenarios(&site, &arguments.scenario)
}

fn progress(what: &str, started: Instant) -> io::Result<()> {
    let seconds = started.elapsed().as_secs();
    writeln!(io::stdout(), "{seconds:>5} s  {what} up")
}

fn scenarios(site: &Site<'_>, chosen: &[Scenario]) -> Result<ExitCode, ClusterError> {
    let all: Vec<_> = Scenario::value_variants()
        .iter()
        .copied()
        .filter(|scenario| site.length == Length::Full || scenario.is_short())
        .collect();
    let chosen = if chosen.is_empty() { &all } else { chosen };
    let mut text = io::stdout();
    writeln!(text, "seed {}", site.seed)?;
    let mut failed = 0;
    for scenario in chosen {
        let started = Instant::now();
        let mut witness = Vec::new();
        let (verdict, notes) = match scenario.run(site, &mut witness) {
            Ok(figures) => ("pass", figures),
            Err(error) => {
                interrupt::check()?;
                failed += 1;
                witness.insert(0, describe(&error));
                ("FAIL", witness)
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        writeln!(text, "{:<18} {seconds:>7.1} s  {verdict}", scenario.name())?;
        for note in notes {
            writeln!(text, "    {note}")?;
        }
    }
    writeln!(text, "{} passed, {failed} failed", chosen.len() - failed)?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
