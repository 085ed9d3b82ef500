//! What a trial is held to, and its row of the report.
//! Layer: core

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    arm::Arm,
    sample::Sample,
    slope::{Point, Slope},
};
use crate::report::Verdict;

/// Peak working set at most, thousandths of the limit.
pub(crate) const PEAK: u64 = 850;
/// Part of the plan that a backlog uses at least, thousandths.
const SHARE: u64 = 800;
/// Warm-up that is left out of the slope, thousandths of the run.
const WARM_UP: u64 = 250;

/// Figures and verdict of one trial.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Shape of the traffic.
    pub(crate) payload: &'static str,
    /// Which program.
    pub(crate) arm: &'static str,
    /// Limit of the cgroup, bytes.
    pub(crate) limit_bytes: u64,
    /// Records in the topic.
    pub(crate) records: u64,
    /// Records found in the output or the sink, scaled to all where a part is produced.
    pub(crate) counted: u64,
    /// Of how many.
    pub(crate) expected: u64,
    /// From the first record to the last, milliseconds.
    pub(crate) millis: u64,
    /// Records a second.
    pub(crate) per_second: u64,
    /// Largest working set, bytes.
    pub(crate) peak_bytes: u64,
    /// The same in thousandths of the limit.
    pub(crate) peak_permille: u64,
    /// Growth, bytes an hour; absent of a run too short to say.
    pub(crate) slope: Option<[i64; 3]>,
    /// Peak in thousandths of what the plan would occupy when all of it is used.
    pub(crate) share_permille: u64,
    /// Largest use of all pools by the processor's own count, thousandths.
    pub(crate) ledger_permille: u64,
    /// Largest use of the dispatcher's budget, thousandths.
    pub(crate) dispatcher_permille: u64,
    /// Largest working set beyond what the ledger explains; negative is room.
    pub(crate) model_error_bytes: i64,
    /// Times that the governor acted.
    pub(crate) governor: u64,
    /// Processes killed by the kernel.
    pub(crate) oom_kills: u64,
    /// Times that usage met the limit and pages were reclaimed.
    pub(crate) limit_hits: u64,
    /// How it ended, if by itself.
    pub(crate) death: Option<String>,
    /// Whether the promise was kept; of a control arm, whether it was broken as it should.
    pub(crate) verdict: Verdict,
    /// Broken promises in words.
    pub(crate) violations: Vec<String>,
}

/// What a trial found beside its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Records in the topic.
    pub(crate) records: u64,
    /// Found in the output or the sink.
    pub(crate) counted: u64,
    /// Of how many.
    pub(crate) expected: u64,
    /// How it ended, if by itself.
    pub(crate) death: Option<String>,
    /// What the script found wrong.
    pub(crate) faults: Vec<String>,
}

/// What a trial was about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Which program.
    pub(crate) arm: Arm,
    /// Name of the shape.
    pub(crate) payload: &'static str,
    /// Limit of the cgroup, bytes.
    pub(crate) limit: u64,
    /// Whether the backlog is deep enough to fill the plan.
    pub(crate) fill: Fill,
    /// Start of every choice.
    pub(crate) seed: u64,
}

/// Whether a trial must use the plan up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// At least 80 % of it.
    Full,
    /// As much as it happens to.
    Any,
}

/// Judges a trial.
pub(crate) fn judge(case: Case, samples: &[Sample], outcome: Outcome) -> Row {
    let highest = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0);
    let told = |of: fn(&super::sample::Told) -> u64| {
        let each = samples.iter().filter_map(|s| s.told.as_ref()).map(of);
        each.max().unwrap_or(0)
    };
    let per_mille = |part: u64, whole: u64| (part * 1000).checked_div(whole).unwrap_or(0);
    let busy = busy(samples);
    let points: Vec<Point> = warm(busy)
        .iter()
        .map(|s| (s.millis, s.working_set))
        .collect();
    let slope = Slope::of(&points, case.seed);
    let millis = span(busy);
    let peak = highest(|s| s.peak);
    let errors = samples.iter().filter_map(|s| Some(s.told?.model_error));
    let mut row = Row {
        payload: case.payload,
        arm: case.arm.name(),
        limit_bytes: case.limit,
        records: outcome.records,
        counted: outcome.counted,
        expected: outcome.expected,
        millis,
        per_second: (told(|t| t.finished) * 1000)
            .checked_div(millis)
            .unwrap_or(0),
        peak_bytes: peak,
        peak_permille: per_mille(peak, case.limit),
        slope: slope.map(|s| [s.low, s.middle, s.high]),
        share_permille: per_mille(peak, told(|t| t.plan_peak)),
        ledger_permille: per_mille(told(|t| t.held), told(|t| t.planned)),
        dispatcher_permille: per_mille(told(|t| t.dispatcher), told(|t| t.dispatcher_planned)),
        model_error_bytes: errors.max().unwrap_or(0),
        governor: told(|t| t.governor),
        oom_kills: highest(|s| s.oom_kills),
        limit_hits: highest(|s| s.limit_hits),
        death: outcome.death,
        verdict: Verdict::Pass,
        violations: outcome.faults,
    };
    match case.arm {
        Arm::Planned => hold(&mut row, case, slope),
        Arm::Blind | Arm::Glibc | Arm::Stock => row.violations.clear(),
    }
    if !row.violations.is_empty() {
        row.verdict = Verdict::Fail;
    }
    row
}

/// Adds what was broken of the promise.
fn hold(row: &mut Row, case: Case, slope: Option<Slope>) {
    let mut broken = Vec::new();
    if row.oom_kills > 0 {
        broken.push(format!("{} processes were killed", row.oom_kills));
    }
    if let Some(death) = &row.death {
        broken.push(format!("ended by itself: {death}"));
    }
    if row.peak_permille > PEAK {
        broken.push(format!(
            "peak of {} thousandths of the limit, at most {PEAK}",
            row.peak_permille
        ));
    }
    if row.governor > 0 {
        broken.push(format!("the governor acted {} times", row.governor));
    }
    if slope.is_some_and(|slope| !slope.may_be_flat()) {
        broken.push("the slope's interval does not contain 0".to_owned());
    }
    if case.fill == Fill::Full && row.share_permille < SHARE {
        broken.push(format!(
            "{} thousandths of the plan in use, at least {SHARE}",
            row.share_permille
        ));
    }
    if case.fill == Fill::Full && row.ledger_permille < SHARE {
        broken.push(format!(
            "{} thousandths of the pools held, at least {SHARE}",
            row.ledger_permille
        ));
    }
    if row.counted != row.expected {
        broken.push(format!(
            "{} of {} counted outside the processor",
            row.counted, row.expected
        ));
    }
    row.violations.extend(broken);
}

/// Whether a control arm shows what the law prevents.
pub(crate) fn is_broken(row: &Row) -> bool {
    row.oom_kills > 0 || row.peak_permille > PEAK
}

/// From the first finished record to the last.
fn busy(samples: &[Sample]) -> &[Sample] {
    let finished = |s: &Sample| s.told.map(|told| told.finished);
    let last = samples.iter().filter_map(finished).max().unwrap_or(0);
    let begin = samples
        .iter()
        .position(|s| finished(s).is_some_and(|f| f > 0))
        .unwrap_or(0);
    let end = samples
        .iter()
        .position(|s| finished(s) == Some(last))
        .unwrap_or(samples.len().saturating_sub(1));
    samples.get(begin.saturating_sub(1)..=end).unwrap_or(&[])
}

/// Without the beginning, in which pools fill up for the first time.
fn warm(samples: &[Sample]) -> &[Sample] {
    let left_out = samples.len() as u64 * WARM_UP / 1000;
    &samples[usize::try_from(left_out).unwrap_or(0)..]
}

fn span(samples: &[Sample]) -> u64 {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => last.millis - first.millis,
        _ => 0,
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    format!(
        "{:>6} {:<12} {:<8} {:>9} {:>8} {:>9} {:>6} {:>24} {:>6} {:>6} {:>6} {:>9} {:>4} {:>4} {:>6}  verdict",
        "limit",
        "payload",
        "arm",
        "records",
        "seconds",
        "records/s",
        "peak",
        "slope MiB/h [95 %]",
        "share",
        "ledger",
        "queue",
        "error KiB",
        "gov.",
        "oom",
        "hits"
    )
}

/// One line of the table, and one for each broken promise.
pub(crate) fn line(row: &Row) -> String {
    let percent = |permille: u64| format!("{}.{}%", permille / 10, permille % 10);
    let slope = row.slope.map_or("too short".to_owned(), |ends| {
        let [low, middle, high] = ends.map(|bytes| bytes >> 20);
        format!("{middle} [{low}, {high}]")
    });
    let verdict = match row.verdict {
        Verdict::Pass if row.arm != Arm::Planned.name() => match is_broken(row) {
            true => "bound broken, as it must be",
            false => "bound held: shows nothing",
        },
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Skipped => "refused",
    };
    let mut text = format!(
        "{:>4}Mi {:<12} {:<8} {:>9} {:>8} {:>9} {:>6} {slope:>24} {:>6} {:>6} {:>6} {:>9} {:>4} {:>4} {:>6}  {verdict}",
        row.limit_bytes >> 20,
        row.payload,
        row.arm,
        row.records,
        row.millis / 1000,
        row.per_second,
        percent(row.peak_permille),
        percent(row.share_permille),
        percent(row.ledger_permille),
        percent(row.dispatcher_permille),
        row.model_error_bytes / 1024,
        row.governor,
        row.oom_kills,
        row.limit_hits,
    );
    for fault in row.death.iter().chain(&row.violations) {
        write!(text, "\n    {fault}").expect("a string takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sample::Told;

    fn case() -> Case {
        Case {
            arm: Arm::Planned,
            payload: "kib",
            limit: 100 << 20,
            fill: Fill::Any,
            seed: 1,
        }
    }

    /// A minute of work at a flat working set.
    fn samples() -> Vec<Sample> {
        (0..60)
            .map(|second| Sample {
                millis: second * 1000,
                working_set: 60 << 20,
                peak: 61 << 20,
                told: Some(Told {
                    finished: second * 100,
                    plan_peak: 85 << 20,
                    held: 7,
                    planned: 10,
                    ..Told::default()
                }),
                ..Sample::default()
            })
            .collect()
    }

    fn whole() -> Outcome {
        Outcome {
            records: 5_900,
            counted: 5_900,
            expected: 5_900,
            ..Outcome::default()
        }
    }

    fn broken(change: impl Fn(&mut Vec<Sample>, &mut Outcome)) -> Vec<String> {
        let (mut samples, mut outcome) = (samples(), whole());
        change(&mut samples, &mut outcome);
        judge(case(), &samples, outcome).violations
    }

    #[test]
    fn a_flat_run_passes_with_its_figures() {
        let row = judge(case(), &samples(), whole());
        assert_eq!(row.violations, [""; 0]);
        assert_eq!((row.peak_permille, row.per_second), (610, 100));
        assert_eq!(row.share_permille, 717);
    }

    #[test]
    fn each_promise_can_be_broken() {
        assert!(broken(|samples, _| samples[30].peak = 86 << 20)[0].contains("peak"));
        assert!(broken(|samples, _| samples[30].oom_kills = 1)[0].contains("killed"));
        assert!(broken(|_, outcome| outcome.counted -= 1)[0].contains("5899 of 5900"));
        let leak = |samples: &mut Vec<Sample>, _: &mut Outcome| {
            samples
                .iter_mut()
                .for_each(|s| s.working_set += s.millis * 100);
        };
        assert!(broken(leak)[0].contains("slope"));
        let governed = |samples: &mut Vec<Sample>, _: &mut Outcome| {
            samples[9].told = Some(Told {
                governor: 1,
                ..Told::default()
            });
        };
        assert!(broken(governed)[0].contains("governor"));
    }

    #[test]
    fn an_idle_plan_is_told_where_it_must_be_used() {
        let case = Case {
            fill: Fill::Full,
            ..case()
        };
        let row = judge(case, &samples(), whole());
        assert!(row.violations[0].contains("717 thousandths"), "{row:?}");
        assert!(row.violations[1].contains("700 thousandths"), "{row:?}");
    }
}
