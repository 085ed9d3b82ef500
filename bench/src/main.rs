//! Measures Penstock beside its peers; a run that breaks a promise fails.
//! Layer: shell

use std::{error::Error, io::Write, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use penstock_bench::{
    allocations::Counting,
    broker,
    report::{Report, figures::Figures},
    suite,
};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
#[command(about = "Workloads and peers, side by side, with their correctness oracle")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// With `json`, the last line is one object.
    #[arg(long, value_enum, default_value = "text", global = true)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// The dispatcher in process, without a broker.
    Engine(EngineArguments),
    /// The processor's own line beside a bare client loop, on a real broker.
    Broker(BrokerArguments),
    /// Everything, against its goals.
    Figures(BrokerArguments),
}

#[derive(clap::Args)]
struct EngineArguments {
    /// Records of each measured round.
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
    /// Distinct keys.
    #[arg(long, default_value_t = 50_000)]
    keys: usize,
    /// Seed of keys and draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args)]
struct BrokerArguments {
    /// `host:port` of some brokers, separated by commas.
    #[arg(long)]
    bootstrap_servers: String,
    /// Records laid down before anybody reads.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Distinct keys.
    #[arg(long, default_value_t = 50_000)]
    keys: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What a command measured.
struct Outcome {
    table: String,
    json: Value,
    faults: u64,
}

fn main() -> ExitCode {
    let Arguments { command, output } = Arguments::parse();
    let shown = run(&command).and_then(|outcome| {
        let mut out = std::io::stdout().lock();
        out.write_all(outcome.table.as_bytes())?;
        if output == Output::Json {
            writeln!(out, "{}", outcome.json)?;
        }
        Ok(outcome.faults)
    });
    match shown {
        Ok(faults) => ExitCode::from(u8::from(faults > 0)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<Outcome, Box<dyn Error>> {
    Ok(match command {
        Command::Engine(arguments) => {
            let report: Report = suite::engine(arguments.records, arguments.keys, arguments.seed);
            Outcome {
                table: report.table(),
                json: report.json(),
                faults: report.faults(),
            }
        }
        Command::Broker(arguments) => {
            let report = broker::measure(&arguments.shape())?;
            Outcome {
                table: report.table(),
                json: report.json(),
                faults: report.faults(),
            }
        }
        Command::Figures(arguments) => {
            let figures = Figures {
                broker: broker::measure(&arguments.shape())?,
                process: suite::engine(1_000_000, 50_000, 1),
            };
            Outcome {
                table: figures.table(),
                json: figures.json(),
                faults: figures.faults(),
            }
        }
    })
}

impl BrokerArguments {
    fn shape(&self) -> broker::Shape {
        broker::Shape {
            bootstrap: self.bootstrap_servers.clone(),
            records: self.records,
            keys: self.keys,
        }
    }
}
