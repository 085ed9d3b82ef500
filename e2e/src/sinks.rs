//! `cargo e2e sinks`: the storefront on real stores, with faults, compared with a reference.
//! Layer: shell

pub(crate) mod books;
mod counters;
mod fail_points;
pub(crate) mod ground;
mod isolation;
mod observe;
mod pace;
mod pipeline;
mod proxy;
mod scenario;
mod trial;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::ValueEnum;

use self::{
    ground::{Ground, Stores},
    scenario::SinkScenario,
};
use crate::{
    Output, RunError, build, describe, fresh_seed, interrupt,
    kafka::Broker,
    print_end,
    report::{self, Report, Row, Verdict},
    scenario::Length,
    services::ServiceError,
};

/// What `cargo e2e sinks` is told.
#[derive(clap::Args)]
pub(crate) struct SinksArguments {
    /// A part of everything, for every change.
    #[arg(long)]
    short: bool,
    /// Only these scenarios, and not the sinks' own tests; may be repeated.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<SinkScenario>,
    /// Repeats a run's choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Table or one JSON object on the last line.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The processor; by default `penstock`, built from this workspace.
    #[arg(long, value_name = "FILE")]
    processor: Option<PathBuf>,
}

/// Why a scenario could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinksError {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Topic(#[from] crate::topics::TopicError),
    #[error(transparent)]
    Fleet(#[from] crate::fleet::FleetError),
    #[error(transparent)]
    Interrupted(#[from] interrupt::Interrupted),
    #[error("lay the records")]
    Produce(#[from] penstock_cli::demo::producer::ProduceError),
    #[error("lay the records: {0}")]
    Laid(String),
    #[error(transparent)]
    DeadLetters(#[from] penstock_cli::demo::dead_letters::DeadLetterError),
    #[error("ask a store or the operating system")]
    Ask(#[from] io::Error),
    #[error("a search answered with {0}")]
    Answer(String),
    #[error("ask MongoDB")]
    Mongodb(#[from] mongodb::error::Error),
    #[error("ask Redis")]
    Redis(#[from] redis::RedisError),
    #[error("the sinks' own tests failed; their output is above")]
    Tests,
}

/// Runs everything, or what was chosen.
pub(crate) fn run(arguments: &SinksArguments) -> Result<ExitCode, RunError> {
    interrupt::listen();
    let stores = Stores::start()?;
    if arguments.scenario.is_empty() {
        own_tests(&stores)?;
    }
    let broker = Broker::start()?;
    let program = match &arguments.processor {
        Some(file) => build::given(file)?,
        None => build::penstock()?,
    };
    let ground = Ground {
        broker: &broker,
        stores: &stores,
        program: &program,
        folder: &build::scratch()?,
        seed: arguments.seed.unwrap_or_else(fresh_seed),
    };
    let report = scenarios(&ground, arguments)?;
    print_end(&report, arguments.output)?;
    Ok(match report.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The tests of the processor that need a server.
fn own_tests(stores: &Stores) -> Result<(), SinksError> {
    let mut command = build::cargo();
    command.args(["test", "--quiet", "--package", "penstock-processor"]);
    command.args(["--test", "sink_redis", "--test", "sink_stores"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for service in stores.all() {
        command.env(service.store().variable(), service.address());
    }
    match command.status()?.success() {
        true => Ok(()),
        false => Err(SinksError::Tests),
    }
}

fn scenarios(ground: &Ground<'_>, arguments: &SinksArguments) -> Result<Report, RunError> {
    let length = match arguments.short {
        true => Length::Short,
        false => Length::Full,
    };
    let all = SinkScenario::value_variants();
    let wanted = |scenario: &&SinkScenario| match arguments.scenario.as_slice() {
        [] => length == Length::Full || scenario.is_short(),
        chosen => chosen.contains(scenario),
    };
    let mut text = io::stdout();
    if arguments.output == Output::Text {
        writeln!(text, "seed {}\n{}", ground.seed, report::head())?;
    }
    let mut rows = Vec::new();
    for scenario in all.iter().filter(wanted) {
        let row = scenario.run(ground, length);
        interrupt::check()?;
        let row = row.unwrap_or_else(|error| Row {
            violations: vec![describe(&error)],
            ..Row::empty(scenario.name(), Verdict::Fail)
        });
        if arguments.output == Output::Text {
            writeln!(text, "{}", report::line(&row))?;
        }
        rows.push(row);
    }
    Ok(Report::new(ground.seed, rows))
}
