//! Measures Penstock beside its peers; a run that breaks a promise fails.
//! Layer: shell

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use penstock_bench::{
    allocations::Counting,
    engine, pool,
    report::{EngineRow, Report},
    story,
    workload::Skew,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
#[command(about = "Workloads and peers, side by side, with their correctness oracle")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The dispatcher in process, without a broker.
    Engine(EngineArguments),
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
    /// With `json`, the last line is one object.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    let Command::Engine(arguments) = Arguments::parse().command;
    let report = measure(&arguments);
    let mut out = std::io::stdout().lock();
    let mut written = out.write_all(report.table().as_bytes());
    if arguments.output == Output::Json {
        written = written.and_then(|()| writeln!(out, "{}", report.json()));
    }
    ExitCode::from(u8::from(written.is_err() || report.faults() > 0))
}

fn measure(arguments: &EngineArguments) -> Report {
    let EngineArguments {
        records,
        keys,
        seed,
        ..
    } = *arguments;
    let mut rows = Vec::new();
    for (skew, window) in [Skew::Uniform, Skew::Zipf]
        .into_iter()
        .flat_map(|s| [512, 8_192, 65_000].map(|w| (s, w)))
    {
        let [ours, published, driver] = engine::measure(engine::Shape {
            keys,
            skew,
            window,
            records,
            seed,
        });
        rows.push(EngineRow {
            skew,
            window,
            ours,
            published,
            driver,
        });
    }
    let pool = [
        (Skew::Uniform, 1, 8),
        (Skew::Uniform, 12, 8),
        (Skew::Uniform, 12, 64),
        (Skew::Zipf, 12, 8),
    ]
    .map(|(skew, partitions, workers)| {
        let each = i64::try_from(records).expect("offsets fit") / i64::from(partitions);
        let shape = pool::Shape {
            partitions,
            workers,
            keys,
            skew,
            records: each,
            seed,
        };
        (shape, pool::measure(shape))
    });
    Report {
        engine: rows,
        pool: pool.to_vec(),
        story: story::measure(40),
    }
}
