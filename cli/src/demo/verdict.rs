//! The last word of a demo: figures, promises, and whether all were kept.
//! Layer: core

use std::fmt::Write as _;

use serde::Serialize;

use super::audit::Findings;

/// The verdict as it is printed; field names are the interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What became of the records.
    pub records: Records,
    /// What the sinks hold.
    pub sinks: Sinks,
    /// What the processor used.
    pub memory: Memory,
    /// How quickly it went.
    pub rate: Rate,
    /// How often the processor was killed.
    pub kills: u32,
    /// Whether every promise was kept.
    pub verdict: Outcome,
}

/// What became of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// Acknowledged by the broker.
    pub produced: u64,
    /// Covered by the group's committed offsets.
    pub finished: u64,
    /// Finished early for repeating the id of another record.
    pub duplicates: u64,
    /// Distinct records in the dead-letter topic.
    pub dead_lettered: u64,
    /// Without their outcome.
    pub lost: u64,
    /// Keys whose records were processed in another order than the log's.
    pub out_of_order: u64,
    /// Processed again after a kill.
    pub repeated: u64,
    /// What `repeated` may be at most: kills × window × partitions.
    pub repeat_bound: u64,
}

/// What the sinks hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sinks {
    /// Whether every document, counter and set is as the reference says.
    pub totals_exact: bool,
    /// Rows that differ, are missing, or are too many.
    pub mismatches: u64,
}

/// Memory of the processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Limit of its cgroup, or of its plan where no cgroup could be made.
    pub limit_bytes: u64,
    /// Largest working set seen (usage without inactive file pages).
    pub peak_bytes: u64,
    /// Largest part of it without a file behind it; for people, the interface is the peak.
    #[serde(skip)]
    pub anonymous_bytes: u64,
    /// Peak by limit.
    pub peak_fraction: f64,
    /// Times the kernel killed it.
    pub oom_kills: u64,
}

/// Speed of the processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Finished records by seconds from the first start to the last commit.
    pub records_per_second: u64,
    /// CPU seconds of all processor lives by million finished records.
    pub cpu_seconds_per_million: f64,
}

/// The last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every promise was kept.
    Pass,
    /// One was broken.
    Fail,
}

/// What the parent measured, before it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Records acknowledged by the broker.
    pub produced: u64,
    /// Records covered by committed offsets.
    pub finished: u64,
    /// See [`Records::repeat_bound`].
    pub repeat_bound: u64,
    /// See [`Memory`].
    pub usage: Usage,
    /// Milliseconds from the first start of the processor to the last commit.
    pub elapsed_ms: u64,
    /// CPU milliseconds of all processor lives.
    pub cpu_ms: u64,
    /// SIGKILLs sent.
    pub kills: u32,
}

/// Memory as it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The limit.
    pub limit_bytes: u64,
    /// Largest working set.
    pub peak_bytes: u64,
    /// Largest part without a file behind it; equal to the peak where no cgroup tells them apart.
    pub peak_anonymous_bytes: u64,
    /// Times the kernel killed the processor.
    pub oom_kills: u64,
    /// What held the processor to its limit.
    pub held_by: HeldBy,
}

/// What held the processor to its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldBy {
    /// A cgroup of exactly the limit: the peak is judged.
    Cgroup,
    /// Its own plan only: the peak is resident memory, shown and not judged.
    #[default]
    PlanOnly,
}

/// Largest part of the limit that a fully used plan may peak at, in percent.
const PEAK_PERCENT: u64 = 85;

/// Judges a run and names each broken promise.
#[must_use]
pub fn judge(measured: &Measured, findings: &Findings) -> (Verdict, Vec<String>) {
    let broken = broken_promises(measured, findings);
    let verdict = Verdict {
        records: Records {
            produced: measured.produced,
            finished: measured.finished,
            duplicates: findings.duplicates,
            dead_lettered: findings.dead_lettered,
            lost: findings.lost,
            out_of_order: findings.out_of_order,
            repeated: findings.repeated,
            repeat_bound: measured.repeat_bound,
        },
        sinks: Sinks {
            totals_exact: findings.mismatches == 0,
            mismatches: findings.mismatches,
        },
        memory: memory(&measured.usage),
        rate: rate(measured),
        kills: measured.kills,
        verdict: if broken.is_empty() {
            Outcome::Pass
        } else {
            Outcome::Fail
        },
    };
    (verdict, broken)
}

fn broken_promises(measured: &Measured, findings: &Findings) -> Vec<String> {
    let usage = &measured.usage;
    let over = usage.held_by == HeldBy::Cgroup
        && u128::from(usage.peak_bytes) * 100
            > u128::from(usage.limit_bytes) * u128::from(PEAK_PERCENT);
    let unfinished = measured.produced.saturating_sub(measured.finished);
    let promises = [
        (findings.lost > 0, format!("{} records lost", findings.lost)),
        (
            findings.out_of_order > 0,
            format!("{} keys out of order", findings.out_of_order),
        ),
        (
            findings.mismatches > 0,
            format!("{} rows differ", findings.mismatches),
        ),
        (
            findings.repeated > measured.repeat_bound,
            format!(
                "{} repeats, bound {}",
                findings.repeated, measured.repeat_bound
            ),
        ),
        (unfinished > 0, format!("{unfinished} records not finished")),
        (
            usage.oom_kills > 0,
            format!("{} OOM kills", usage.oom_kills),
        ),
        (over, format!("peak above {PEAK_PERCENT} % of the limit")),
    ];
    promises
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, words)| words)
        .collect()
}

fn memory(usage: &Usage) -> Memory {
    Memory {
        limit_bytes: usage.limit_bytes,
        peak_bytes: usage.peak_bytes,
        anonymous_bytes: usage.peak_anonymous_bytes,
        peak_fraction: rounded(usage.peak_bytes, usage.limit_bytes, 1_000),
        oom_kills: usage.oom_kills,
    }
}

fn rate(measured: &Measured) -> Rate {
    let per_second = u128::from(measured.finished) * 1_000 / u128::from(measured.elapsed_ms.max(1));
    Rate {
        records_per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        cpu_seconds_per_million: rounded(
            measured.cpu_ms.saturating_mul(1_000),
            measured.finished,
            100,
        ),
    }
}

/// `part / whole`, cut to as many decimals as `steps` has zeros; 0 of nothing.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a ratio shown to a person"
)]
fn rounded(part: u64, whole: u64, steps: u64) -> f64 {
    let scaled = u128::from(part) * u128::from(steps) / u128::from(whole.max(1));
    scaled as f64 / steps as f64
}

impl Verdict {
    /// One JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("the verdict has string keys and finite numbers only")
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self, broken: &[String]) -> String {
        let Self {
            records,
            sinks,
            memory,
            rate,
            ..
        } = self;
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(text, "{name:<22}{value}").expect("writing to a string cannot fail");
        };
        line("records produced", records.produced.to_string());
        line("finished", records.finished.to_string());
        line("duplicates", records.duplicates.to_string());
        line("dead letters", records.dead_lettered.to_string());
        line("lost", records.lost.to_string());
        line("keys out of order", records.out_of_order.to_string());
        line(
            "repeated",
            format!("{} (bound {})", records.repeated, records.repeat_bound),
        );
        line("sink mismatches", sinks.mismatches.to_string());
        line(
            "peak memory",
            format!(
                "{} of {} KiB ({:.3} of the limit; at most {} KiB without a file behind it)",
                memory.peak_bytes / 1024,
                memory.limit_bytes / 1024,
                memory.peak_fraction,
                memory.anonymous_bytes / 1024,
            ),
        );
        line("OOM kills", memory.oom_kills.to_string());
        line("records per second", rate.records_per_second.to_string());
        line(
            "CPU s per million",
            format!("{:.2}", rate.cpu_seconds_per_million),
        );
        line("kills", self.kills.to_string());
        match self.verdict {
            Outcome::Pass => line("verdict", "pass: every promise kept".to_owned()),
            Outcome::Fail => line("verdict", format!("fail: {}", broken.join("; "))),
        }
        text
    }
}

#[cfg(test)]
mod tests;
