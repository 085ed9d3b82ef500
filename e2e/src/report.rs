//! What a run found: one row a scenario, as JSON or as a table, and the count at the end.
//! Layer: core

use std::fmt::Write as _;

use serde::Serialize;

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Every promise was kept.
    Pass,
    /// One was broken, or the scenario could not be carried out.
    Fail,
    /// It needs something that the run was not given.
    Skipped,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Name on the command line.
    pub(crate) name: String,
    /// Records in the input topic.
    pub(crate) records: u64,
    /// Records without an effect.
    pub(crate) lost: u64,
    /// Effects against the order of their key.
    pub(crate) out_of_order: u64,
    /// Effects beyond the first.
    pub(crate) repeated: u64,
    /// Legal repeats.
    pub(crate) repeat_bound: u64,
    /// How far below the highest offset of its partition a record was seen.
    pub(crate) deepest_repeat: u64,
    /// The plan's window per partition, which that distance must stay below.
    pub(crate) window: u64,
    /// Whether the sink's totals equal the reference; absent where there is no such sink.
    pub(crate) totals_exact: Option<bool>,
    /// Processors started, restarts included.
    pub(crate) instances: u64,
    /// Partitions of which something was seen.
    pub(crate) partitions_progressed: u64,
    /// Kills, stops, joins and evictions.
    pub(crate) disturbances: u64,
    /// Wall-clock time of the scenario.
    pub(crate) seconds: f64,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Broken promises in words.
    pub(crate) violations: Vec<String>,
    /// What was measured, in words, each with its goal.
    pub(crate) figures: Vec<String>,
    /// The first few faults, by position.
    pub(crate) examples: Vec<String>,
}

/// All scenarios of one run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Repeats the run's choices.
    pub(crate) seed: u64,
    /// In the order run.
    pub(crate) scenarios: Vec<Row>,
    /// How many passed.
    pub(crate) passed: usize,
    /// How many failed.
    pub(crate) failed: usize,
    /// How many were not run.
    pub(crate) skipped: usize,
}

impl Report {
    /// Counts the verdicts.
    pub(crate) fn new(seed: u64, scenarios: Vec<Row>) -> Self {
        let count = |verdict| {
            scenarios
                .iter()
                .filter(|row| row.verdict == verdict)
                .count()
        };
        let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
        let skipped = count(Verdict::Skipped);
        Self {
            seed,
            scenarios,
            passed,
            failed,
            skipped,
        }
    }

    /// The last line.
    pub(crate) fn summary(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped"),
        };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    format!(
        "{:<15} {:>9} {:>6} {:>10} {:>8} {:>11} {:>7} {:>6} {:>9} {:>10} {:>7}  verdict",
        "scenario",
        "records",
        "lost",
        "outOfOrder",
        "repeated",
        "repeatBound",
        "deepest",
        "totals",
        "instances",
        "partitions",
        "seconds"
    )
}

/// One line of the table, and a line for each broken promise.
pub(crate) fn line(row: &Row) -> String {
    let totals = match row.totals_exact {
        Some(true) => "exact",
        Some(false) => "wrong",
        None => "-",
    };
    let verdict = match row.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Skipped => "skipped",
    };
    let mut text = format!(
        "{:<15} {:>9} {:>6} {:>10} {:>8} {:>11} {:>7} {totals:>6} {:>9} {:>10} {:>7.1}  {verdict}",
        row.name,
        row.records,
        row.lost,
        row.out_of_order,
        row.repeated,
        row.repeat_bound,
        row.deepest_repeat,
        row.instances,
        row.partitions_progressed,
        row.seconds
    );
    let notes = row.violations.iter().chain(&row.examples);
    for note in notes.chain(&row.figures) {
        write!(text, "\n    {note}").expect("a string takes every write");
    }
    text
}

impl Row {
    /// A scenario of which nothing is known yet.
    pub(crate) fn empty(name: &str, verdict: Verdict) -> Self {
        Self {
            name: name.to_owned(),
            records: 0,
            lost: 0,
            out_of_order: 0,
            repeated: 0,
            repeat_bound: 0,
            deepest_repeat: 0,
            window: 0,
            totals_exact: None,
            instances: 0,
            partitions_progressed: 0,
            disturbances: 0,
            seconds: 0.0,
            verdict,
            violations: Vec::new(),
            figures: Vec::new(),
            examples: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_each_verdict() {
        let rows = [
            Verdict::Pass,
            Verdict::Fail,
            Verdict::Skipped,
            Verdict::Pass,
        ];
        let rows = rows.map(|verdict| Row::empty("x", verdict));
        let report = Report::new(1, rows.to_vec());
        assert_eq!(report.summary(), "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn the_json_has_the_documented_names() {
        let json = serde_json::to_value(Row::empty("kills", Verdict::Pass)).unwrap();
        for name in [
            "outOfOrder",
            "repeatBound",
            "totalsExact",
            "partitionsProgressed",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["verdict"], "pass");
    }
}
