//! `penstock demo`: the storefront pipeline against an independent count of what was produced.
//! Layer: shell
//!
//! A run is told in [`conduct`]. The parts, in the order in which a record meets them:
//! what is produced (`storefront` to `producer`), who processes it (`child` to `supervise`), and
//! what must have come of it (`reference` to `verdict`).

pub mod audit;
pub mod bits;
pub mod broker;
pub mod calendar;
pub mod child;
pub mod commits;
pub mod conduct;
pub mod dead_letters;
pub mod draw;
pub mod folder;
pub mod generator;
pub mod log;
pub mod pacing;
pub mod payload;
pub mod pipeline;
pub mod producer;
pub mod progress;
pub mod reference;
pub mod schedule;
pub mod shared;
pub mod sink;
pub mod status;
pub mod stall;
pub mod storefront;
pub mod supervise;
pub mod verdict;
pub mod zipf;

use std::{env, io::Write, process::ExitCode, time::Duration};

use self::{
    conduct::{Conclusion, Options, conduct},
    progress::Audience,
    verdict::Outcome,
};
use crate::arguments::{DemoArguments, TextOrJson};

/// Longest time without a new commit: several session timeouts.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs the command: 0 when every promise was kept, 1 otherwise.
///
/// # Errors
/// When there is no verdict, or it cannot be written.
pub fn command(arguments: &DemoArguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let processor = match &arguments.processor {
        Some(program) => program.clone(),
        None => env::current_exe()?,
    };
    let audience = match arguments.output {
        TextOrJson::Text => Audience::Person,
        TextOrJson::Json => Audience::Program,
    };
    let conclusion = conduct(&Options {
        records: arguments.records,
        keys: arguments.keys,
        partitions: arguments.partitions,
        memory_bytes: arguments.memory.0,
        kills: arguments.kill,
        seed: arguments.seed,
        bootstrap_servers: arguments.bootstrap_servers.clone(),
        audience,
        processor,
        patience: PATIENCE,
    })?;
    print(&conclusion, arguments.output)?;
    Ok(match conclusion.verdict.verdict {
        Outcome::Pass => ExitCode::SUCCESS,
        Outcome::Fail => ExitCode::FAILURE,
    })
}

/// Findings go to standard error, the verdict to standard output, JSON as its last line.
fn print(conclusion: &Conclusion, output: TextOrJson) -> std::io::Result<()> {
    let mut errors = std::io::stderr().lock();
    for note in &conclusion.notes {
        writeln!(errors, "note: {note}")?;
    }
    for example in &conclusion.examples {
        writeln!(errors, "finding: {example}")?;
    }
    if let Some(remains) = &conclusion.remains {
        writeln!(errors, "kept for a closer look: {}", remains.display())?;
    }
    let mut out = std::io::stdout().lock();
    match output {
        TextOrJson::Text => write!(out, "{}", conclusion.verdict.table(&conclusion.broken)),
        TextOrJson::Json => writeln!(out, "{}", conclusion.verdict.json()),
    }
}
