//! `cargo e2e memory`: the processor in cgroups of exactly the limit, and arms that must not hold.
//! Layer: shell

mod payload;
mod pipeline;
mod lay;
mod backlog;
mod sample;
mod slope;
mod curve;
mod arm;
mod watch;
mod judge;
mod trial;
mod stock;
mod changes;
mod bomb;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::stock::{StockArguments, StockError, run as stock_consumer};
use self::{
    arm::{Arm, Programs, StartError},
    backlog::Backlogs,
    judge::{Fill, Row},
    payload::Payload,
    trial::Trial,
};
use crate::{
    Output, RunError, bring_up, build, child::ChildError, describe, feed::FeedError,
    fleet::FleetError, fresh_seed, interrupt, interrupt::Interrupted, report::Verdict,
    topics::TopicError,
};

/// Records of the 1 KiB backlog; the others follow from it.
const FULL: u64 = 10_000_000;
const SHORT: u64 = 150_000;
const MIB: u64 = 1 << 20;
/// Throughput at 128 MiB of that at 512 MiB, thousandths, at least.
const KEPT: u64 = 800;

#[derive(clap::Args)]
pub(crate) struct MemoryArguments {
    /// Memory limit, as 64, 128Mi or 1Gi; may be repeated. All of 64, 128, 256 and 512 MiB.
    #[arg(long, value_name = "QUANTITY", value_parser = limit)]
    limit: Vec<u64>,
    /// Each trial goes on at least so long, with more records if need be.
    #[arg(long, value_name = "N", default_value_t = 0)]
    minutes: u64,
    /// Records of 1 KiB; other payloads have a fixed part or multiple of it.
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Only these payloads; may be repeated.
    #[arg(long, value_name = "NAME")]
    payload: Vec<Payload>,
    /// Only these programs; may be repeated. Without a control arm nothing is proved.
    #[arg(long, value_name = "NAME")]
    arm: Vec<Arm>,
    /// Instead of the trials, changes the limit so many times under a backlog.
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "payload", "arm", "bomb"])]
    limit_changes: Option<u64>,
    /// Instead of the trials, batches that decompress to more than the pod holds.
    #[arg(long, conflicts_with_all = ["limit", "payload", "arm"])]
    bomb: bool,
    /// Repeats a run's choices; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// For every change: 64 and 128 MiB, two payloads, one control arm.
    #[arg(long)]
    short: bool,
    /// A running broker.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// Table or one JSON object on the last line.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The processor; by default `penstock`, built from this workspace.
    #[arg(long, value_name = "FILE")]
    processor: Option<PathBuf>,
    /// The processor with the C library's allocator; built when its arm is asked for.
    #[arg(long, value_name = "FILE")]
    glibc_processor: Option<PathBuf>,
}

/// Why a trial could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("read or lock the sink's file")]
    Sink(#[from] rusqlite::Error),
    #[error("write the trial's files")]
    Files(#[from] io::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// All trials of one run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    seed: u64,
    trials: Vec<Row>,
    /// Throughput at 128 MiB in thousandths of that at 512 MiB, where both ran.
    throughput_permille: Option<u64>,
    control_arms_broken: usize,
    verdict: Verdict,
    violations: Vec<String>,
}

/// A limit: Kubernetes' binary suffixes, or a bare number of MiB.
fn limit(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text {
        _ if text.ends_with("Gi") => (&text[..text.len() - 2], 1024 * MIB),
        _ if text.ends_with("Mi") => (&text[..text.len() - 2], MIB),
        _ => (text, MIB),
    };
    match digits.parse::<u64>() {
        Ok(number @ 1..=65_536) => Ok(number * unit),
        _ => Err("legal are 1 to 65536 with Mi (or nothing) or Gi behind".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &MemoryArguments) -> Result<ExitCode, RunError> {
    interrupt::listen();
    let broker = bring_up(arguments.bootstrap_servers.as_deref())?;
    let special_only = arguments.limit_changes.is_some() || arguments.bomb;
    let trials = match special_only {
        true => Vec::new(),
        false => trials(arguments),
    };
    let programs = programs(arguments, &trials)?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let folder = build::scratch()?.join("memory");
    let mut backlogs = Backlogs::new(broker.bootstrap(), programs, folder.clone(), seed);
    if special_only {
        return special(arguments, &mut backlogs);
    }
    let mut out = io::stdout();
    let text = arguments.output == Output::Text;
    if text {
        writeln!(
            out,
            "seed {seed}, files in {}\n{}",
            folder.display(),
            judge::head()
        )?;
    }
    let mut rows = Vec::with_capacity(trials.len());
    for trial in trials {
        let row = match trial::run(&mut backlogs, trial) {
            Ok(row) => row,
            Err(error) => {
                interrupt::check()?;
                failed(&trial, &error)
            }
        };
        if text {
            writeln!(out, "{}", judge::line(&row))?;
        }
        rows.push(row);
    }
    let report = conclude(seed, rows);
    for violation in &report.violations {
        writeln!(io::stderr(), "{violation}")?;
    }
    if !text {
        let json = serde_json::to_string(&report).map_err(io::Error::from)?;
        writeln!(out, "{json}")?;
    }
    Ok(match report.verdict {
        Verdict::Pass | Verdict::Skipped => ExitCode::SUCCESS,
        Verdict::Fail => ExitCode::FAILURE,
    })
}

/// The parts that are no trials.
fn special(arguments: &MemoryArguments, backlogs: &mut Backlogs) -> Result<ExitCode, RunError> {
    let (text, json, kept) = match arguments.limit_changes {
        Some(count) => {
            let found = changes::run(backlogs, count)?;
            let json = serde_json::to_string(&found);
            (
                changes::line(&found),
                json,
                found.verdict == Some(Verdict::Pass),
            )
        }
        None => {
            let rows = bomb::run(backlogs)?;
            let kept = rows.iter().all(|row| row.verdict == Verdict::Pass);
            (bomb::lines(&rows), serde_json::to_string(&rows), kept)
        }
    };
    match arguments.output {
        Output::Text => writeln!(io::stdout(), "{text}")?,
        Output::Json => writeln!(io::stdout(), "{}", json.map_err(io::Error::from)?)?,
    }
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn programs(arguments: &MemoryArguments, trials: &[Trial]) -> Result<Programs, RunError> {
    let glibc = match &arguments.glibc_processor {
        Some(file) => Some(build::given(file)?),
        None if trials.iter().any(|t| t.arm == Arm::Glibc) => Some(build::penstock_glibc()?),
        None => None,
    };
    let processor = match &arguments.processor {
        Some(file) => build::given(file)?,
        None => build::penstock()?,
    };
    Ok(Programs {
        processor,
        glibc,
        own: build::this_program()?,
    })
}

/// What is asked for, or everything.
fn trials(arguments: &MemoryArguments) -> Vec<Trial> {
    let or = |chosen: &[u64], all: &[u64]| match chosen {
        [] => all.to_vec(),
        some => some.to_vec(),
    };
    let short = arguments.short;
    let limits: &[u64] = if short {
        &[64, 128]
    } else {
        &[64, 128, 256, 512]
    };
    let limits: Vec<u64> = limits.iter().map(|mib| mib * MIB).collect();
    let limits = or(&arguments.limit, &limits);
    let payloads: &[Payload] = match (&arguments.payload[..], short) {
        ([], true) => &[Payload::Kib, Payload::Hang],
        ([], false) => Payload::value_variants(),
        (some, _) => some,
    };
    let arms: &[Arm] = match (&arguments.arm[..], short) {
        ([], true) => &[Arm::Planned, Arm::Stock],
        ([], false) => Arm::value_variants(),
        (some, _) => some,
    };
    let kib = arguments
        .records
        .unwrap_or(if short { SHORT } else { FULL });
    let mut trials = Vec::new();
    for &limit in &limits {
        for &payload in payloads {
            let trial = |arm| Trial {
                payload,
                arm,
                limit,
                records: payload.records(kib),
                at_least: Duration::from_secs(60 * arguments.minutes),
                hang: Duration::from_secs(if short { 10 } else { 60 }),
                fill: fill(payload, limit),
            };
            // The control arms break on the smallest limit and the first payload; once is enough.
            let control = limit == limits[0] && payload == payloads[0];
            let chosen = arms.iter().filter(|arm| **arm == Arm::Planned || control);
            // What a control arm needs is a backlog, whatever the trial beside it is about.
            trials.extend(chosen.map(|arm| match arm {
                Arm::Planned => trial(Arm::Planned),
                other => Trial {
                    payload: Payload::Kib,
                    records: kib,
                    ..trial(*other)
                },
            }));
        }
    }
    trials
}

/// The backlog that fills every pool: one of small records is emptied as fast as it comes.
fn fill(payload: Payload, limit: u64) -> Fill {
    match payload {
        Payload::Documents if limit == 512 * MIB => Fill::Full,
        _ => Fill::Any,
    }
}

fn failed(trial: &Trial, error: &MemoryError) -> Row {
    let case = judge::Case {
        arm: trial.arm,
        payload: trial.payload.name(),
        limit: trial.limit,
        fill: Fill::Any,
        seed: 0,
    };
    let mut row = judge::judge(case, &[], judge::Outcome::default());
    row.verdict = Verdict::Fail;
    row.violations = vec![describe(error)];
    row
}

/// The run as a whole: control arms, and the rate at a small limit.
fn conclude(seed: u64, mut rows: Vec<Row>) -> Report {
    let mut violations = Vec::new();
    let control = |row: &Row| row.arm != Arm::Planned.name();
    for row in rows.iter_mut().filter(|row| control(row)) {
        row.verdict = match judge::is_broken(row) {
            true => Verdict::Pass,
            false => Verdict::Skipped,
        };
    }
    let broken = rows
        .iter()
        .filter(|row| control(row) && judge::is_broken(row));
    let control_arms_broken = broken.count();
    if control_arms_broken == 0 {
        violations.push(
            "no control arm broke the bound: this soak cannot fail, so it proves nothing"
                .to_owned(),
        );
    }
    let failed = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Fail)
        .count();
    if failed > 0 {
        violations.push(format!("{failed} trials broke a promise"));
    }
    let rate = |mib: u64| {
        let mut found = rows
            .iter()
            .filter(|row| !control(row) && row.payload == "kib" && row.limit_bytes == mib * MIB);
        found.next().map(|row| row.per_second)
    };
    let kept = rate(128)
        .zip(rate(512))
        .and_then(|(small, large)| (small * 1000).checked_div(large));
    if kept.is_some_and(|kept| kept < KEPT) {
        violations.push(format!(
            "the rate at 128 MiB is below {KEPT} thousandths of that at 512 MiB"
        ));
    }
    Report {
        seed,
        trials: rows,
        throughput_permille: kept,
        control_arms_broken,
        verdict: if violations.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        violations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        assert_eq!(limit("64"), Ok(64 * MIB));
        assert_eq!(limit("128Mi"), Ok(128 * MIB));
        assert_eq!(limit("1Gi"), Ok(1024 * MIB));
        for wrong in ["", "0", "x", "64MB", "99999999"] {
            assert!(
                limit(wrong).is_err_and(|why| why.contains("legal")),
                "{wrong}"
            );
        }
    }

    fn row(arm: Arm, limit: u64, per_second: u64) -> Row {
        let case = judge::Case {
            arm,
            payload: "kib",
            limit: limit * MIB,
            fill: Fill::Any,
            seed: 1,
        };
        let mut row = judge::judge(case, &[], judge::Outcome::default());
        row.per_second = per_second;
        row
    }

    #[test]
    fn a_soak_whose_control_arms_hold_proves_nothing() {
        let report = conclude(1, vec![row(Arm::Planned, 64, 1), row(Arm::Stock, 64, 1)]);
        assert_eq!(report.verdict, Verdict::Fail);
        assert!(report.violations[0].contains("proves nothing"));
        let mut dead = row(Arm::Stock, 64, 1);
        dead.oom_kills = 1;
        let report = conclude(1, vec![row(Arm::Planned, 64, 1), dead]);
        assert_eq!(report.verdict, Verdict::Pass);
    }

    #[test]
    fn a_small_pod_keeps_most_of_the_rate() {
        let mut dead = row(Arm::Stock, 64, 1);
        dead.oom_kills = 1;
        let rows = vec![
            row(Arm::Planned, 128, 79),
            row(Arm::Planned, 512, 100),
            dead,
        ];
        let report = conclude(1, rows);
        assert_eq!(report.throughput_permille, Some(790));
        assert!(report.violations[0].contains("rate at 128 MiB"));
    }
}
