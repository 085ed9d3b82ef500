//! Proves the promises end to end; `cargo e2e broker` on a real Apache Kafka.
//! Layer: shell

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand, ValueEnum};

mod build;
mod cache;
mod charts;
mod child;
mod cluster;
mod fake;
mod feed;
mod fleet;
mod http;
mod interrupt;
mod kafka;
mod ledger;
mod memory;
mod names;
mod observe;
mod oracle;
mod pipeline;
mod report;
mod rig;
mod scenario;
mod self_test;
mod services;
mod sinks;
mod status;
mod topics;
mod wait;
mod workload;

use fleet::Program;
use kafka::Broker;
use report::{Report, Row, Verdict};
use rig::{ScenarioError, Site};
use scenario::{Length, Scenario};

#[derive(Parser)]
#[command(name = "cargo e2e", about = "End-to-end proofs of Penstock's promises")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the scenarios on a real Apache Kafka, brought up here unless one is given.
    Broker(BrokerArguments),
    /// Holds the processor to its memory limit, in cgroups of exactly that limit.
    Memory(memory::MemoryArguments),
    /// Runs the scenarios on a kind cluster, with the charts installed, brought up here.
    Cluster(cluster::ClusterArguments),
    /// Lints and renders the charts, and holds the plain manifests to them.
    Charts(charts::ChartsArguments),
    /// Runs the storefront on the real stores, and the sinks' own tests before it.
    Sinks(sinks::SinksArguments),
    /// Brings the stores up, prints the variables that tests look for, and waits for Ctrl-C.
    Services(services::ServicesArguments),
    /// Shows that the scenarios catch broken processors and pass a right one.
    SelfTest(SelfTestArguments),
    /// A processor of a few lines, right or broken on purpose; driven by `self-test`.
    #[command(hide = true)]
    FakeProcessor(fake::FakeArguments),
    /// A consumer with the client's stock settings; a control arm of `memory`.
    #[command(hide = true)]
    StockConsumer(memory::StockArguments),
}

#[derive(clap::Args)]
struct BrokerArguments {
    /// A running broker; scenarios that stop the broker are skipped.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// A tenth of everything, for every change.
    #[arg(long)]
    short: bool,
    /// Only these scenarios; may be repeated.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Repeats a run's choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Table or one JSON object on the last line.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The processor; by default `penstock`, built from this workspace.
    #[arg(long, value_name = "FILE")]
    processor: Option<PathBuf>,
    /// Brings the broker up, prints its address, and waits for Ctrl-C.
    #[arg(long)]
    only_up: bool,
}

#[derive(clap::Args)]
struct SelfTestArguments {
    /// A running broker.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// Only the cases of these scenarios; may be repeated.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Repeats a run's choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Broker(#[from] kafka::BrokerError),
    #[error(transparent)]
    Build(#[from] build::BuildError),
    #[error(transparent)]
    Interrupted(#[from] interrupt::Interrupted),
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    #[error(transparent)]
    Charts(#[from] charts::ChartsError),
    #[error(transparent)]
    Sinks(#[from] sinks::SinksError),
    #[error(transparent)]
    Services(#[from] services::ServiceError),
    #[error(transparent)]
    Fake(#[from] fake::FakeError),
    #[error(transparent)]
    Memory(#[from] memory::MemoryError),
    #[error(transparent)]
    Stock(#[from] memory::StockError),
    #[error("write to standard output")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let done = match command {
        Command::FakeProcessor(arguments) => fake::run(&arguments).map_err(RunError::from),
        Command::StockConsumer(arguments) => memory::stock_consumer(&arguments)
            .map(|()| ExitCode::SUCCESS)
            .map_err(RunError::from),
        Command::Memory(arguments) => memory::run(&arguments),
        Command::Broker(arguments) => broker(&arguments),
        Command::Cluster(arguments) => cluster::run(&arguments).map_err(RunError::from),
        Command::Charts(arguments) => charts::run(&arguments).map_err(RunError::from),
        Command::Sinks(arguments) => sinks::run(&arguments),
        Command::Services(arguments) => services::run(&arguments).map_err(RunError::from),
        Command::SelfTest(arguments) => self_test(&arguments),
    };
    done.unwrap_or_else(|error| {
        report_error(&error);
        ExitCode::FAILURE
    })
}

/// The error and what caused it, a line each.
fn report_error(error: &dyn std::error::Error) {
    let mut line = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(&format!("\n  caused by: {cause}"));
        source = cause.source();
    }
    // There is nowhere to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

fn broker(arguments: &BrokerArguments) -> Result<ExitCode, RunError> {
    interrupt::listen();
    let broker = bring_up(arguments.bootstrap_servers.as_deref())?;
    if arguments.only_up {
        return stay_up(&broker);
    }
    let program = match &arguments.processor {
        Some(file) => build::given(file)?,
        None => build::penstock()?,
    };
    let folder = build::scratch()?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let site = Site {
        broker: &broker,
        program,
        folder: &folder,
        seed,
    };
    let length = if arguments.short {
        Length::Short
    } else {
        Length::Full
    };
    let report = run_all(&site, length, &arguments.scenario, arguments.output)?;
    print_end(&report, arguments.output)?;
    Ok(if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn bring_up(given: Option<&str>) -> Result<Broker, RunError> {
    Ok(match given {
        Some(bootstrap) => Broker::given(bootstrap),
        None => Broker::start()?,
    })
}

fn stay_up(broker: &Broker) -> Result<ExitCode, RunError> {
    writeln!(io::stdout(), "{}", broker.bootstrap())?;
    loop {
        if wait::pass(Duration::from_secs(3600)).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn run_all(
    site: &Site<'_>,
    length: Length,
    chosen: &[Scenario],
    output: Output,
) -> Result<Report, RunError> {
    let all = if chosen.is_empty() {
        Scenario::value_variants()
    } else {
        chosen
    };
    let mut rows = Vec::with_capacity(all.len());
    let mut text = io::stdout();
    if output == Output::Text {
        writeln!(text, "seed {}\n{}", site.seed, report::head())?;
    }
    for scenario in all {
        let row = match scenario.run(site, length) {
            Ok(row) => row,
            Err(error) => {
                interrupt::check()?;
                failed(scenario.name(), &error)
            }
        };
        if output == Output::Text {
            writeln!(text, "{}", report::line(&row))?;
        }
        rows.push(row);
    }
    Ok(Report::new(site.seed, rows))
}

fn failed(name: &str, error: &ScenarioError) -> Row {
    Row {
        violations: vec![describe(error)],
        ..Row::empty(name, Verdict::Fail)
    }
}

/// Small enough to be typed again.
fn fresh_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_millis().try_into().unwrap_or(0)
}

/// An error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn print_end(report: &Report, output: Output) -> Result<(), RunError> {
    let mut text = io::stdout();
    match output {
        Output::Text => writeln!(text, "{}", report.summary())?,
        Output::Json => {
            // To standard error, so that the last line of standard output is the object.
            writeln!(io::stderr(), "{}", report.summary())?;
            let json = serde_json::to_string(report).map_err(io::Error::from)?;
            writeln!(text, "{json}")?;
        }
    }
    Ok(())
}

fn self_test(arguments: &SelfTestArguments) -> Result<ExitCode, RunError> {
    interrupt::listen();
    let broker = bring_up(arguments.bootstrap_servers.as_deref())?;
    let folder = build::scratch()?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let program = Program {
        path: build::this_program()?,
        leading: vec!["fake-processor".into()],
    };
    let site = Site {
        broker: &broker,
        program,
        folder: &folder,
        seed,
    };
    self_test::run(&site, &arguments.scenario)
}
