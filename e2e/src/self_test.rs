//! The scenarios against the stand-in: the right one passes, each broken one is caught as such.
//! Layer: shell

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    RunError, failed, interrupt,
    report::{Row, Verdict},
    rig::Site,
    scenario::{Length, Scenario},
};

/// A scenario, the stand-in's fault, and words of the violation that must be reported.
type Case = (Scenario, &'static str, Option<&'static str>);

const CASES: [Case; 15] = [
    (Scenario::Backlog, "lose", Some("records lost")),
    (Scenario::Backlog, "swap", Some("out of order")),
    (
        Scenario::Backlog,
        "repeat",
        Some("repeats without a change of owner"),
    ),
    (Scenario::Backlog, "dead-letter", Some("dead letters")),
    (
        Scenario::Kills,
        "forget",
        Some("offsets below the highest seen"),
    ),
    (
        Scenario::Sigterm,
        "die-badly",
        Some("stopped with exit status: 1"),
    ),
    (Scenario::SinkKills, "lose", Some("records lost")),
    (
        Scenario::SinkKills,
        "repeat",
        Some("differ from the reference"),
    ),
    (Scenario::Kills, "none", None),
    (Scenario::SinkKills, "none", None),
    (Scenario::ChurnClassic, "none", None),
    (Scenario::ChurnConsumer, "none", None),
    (Scenario::Sigterm, "none", None),
    (Scenario::BrokerStop, "none", None),
    (Scenario::SinkRefusal, "none", None),
];

/// Runs all cases; fails if one went otherwise.
pub(crate) fn run(site: &Site<'_>, chosen: &[Scenario]) -> Result<ExitCode, RunError> {
    let mut output = io::stdout();
    writeln!(output, "seed {}", site.seed)?;
    let (mut passed, mut wrong) = (0, 0);
    let cases = CASES
        .into_iter()
        .filter(|(s, ..)| chosen.is_empty() || chosen.contains(s));
    for (round, (scenario, fault, expected)) in (0..).zip(cases) {
        let mut program = site.program.clone();
        program.leading.extend(["--fault".into(), fault.into()]);
        // Topics are named by the seed.
        let site = Site {
            seed: site.seed.wrapping_add(round),
            program,
            ..*site
        };
        let row = match scenario.run(&site, Length::Tiny) {
            Ok(row) => row,
            Err(error) => {
                interrupt::check()?;
                failed(scenario.name(), &error)
            }
        };
        let right = is_right(&row, expected);
        passed += usize::from(right);
        wrong += usize::from(!right);
        let word = if right { "ok" } else { "WRONG" };
        let (name, seconds) = (scenario.name(), row.seconds);
        writeln!(
            output,
            "{word:<6} {name:<15} {fault:<12} {seconds:>6.1} s  {:?}",
            row.violations
        )?;
    }
    writeln!(output, "{passed} passed, {wrong} failed")?;
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_right(row: &Row, expected: Option<&str>) -> bool {
    match expected {
        None => row.verdict == Verdict::Pass,
        Some(words) => row
            .violations
            .iter()
            .any(|violation| violation.contains(words)),
    }
}
