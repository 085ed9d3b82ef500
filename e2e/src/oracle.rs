//! The verdict on a run: what was found, held against what the scenario allows.
//! Layer: core
//!
//! What repeats may look like. A record's effect may be seen again only after its partition
//! changed owner (a kill, a stop, a rebalance), and only if it lay in the window: less than
//! `window` offsets below the highest offset of the partition seen so far. The new owner starts at
//! the acknowledged commit, so what it repeats of a key is a run of the key's records in order that
//! leads up to the key's first new record. Anything else is a fault: a repeat without a change of
//! owner, a run that skips a record, a record below the window.

use std::fmt;

pub(crate) mod history;
pub(crate) mod sink;

use history::Findings;
use sink::SinkFindings;

/// Repeats that a scenario may cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// None: nobody was disturbed, or stopped cleanly.
    None,
    /// After a process ended without warning; another one takes over.
    Restarts,
    /// After a rebalance, too: a process may lose a partition and get it back.
    Rebalances,
    /// After a process stood still and went on when another one had its partitions, too: what it had
    /// handed to its client comes late, between newer records of the key. A reader that drops repeats
    /// by their provenance sees no disorder; what is seen first must still be in order.
    Zombies,
}

/// What a scenario allows and asks for.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    /// Which repeats are legal.
    pub(crate) repeats: Repeats,
    /// Events that may have changed owners: kills, joins, leaves, evictions.
    pub(crate) disturbances: u64,
    /// Records per partition between acknowledged commit and admission, from the plan.
    pub(crate) window: u64,
    /// Incarnations that had the time and the partitions to process something.
    pub(crate) incarnations: Vec<u64>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Records never seen.
    Lost(u64),
    /// Records whose key or value came out different.
    Altered(u64),
    /// Records of positions that were never produced.
    Foreign(u64),
    /// Records seen before an earlier one of their key, or after skipping one.
    OutOfOrder(u64),
    /// Repeats, and how many were legal.
    Repeated { repeated: u64, bound: u64 },
    /// Repeats in a partition that had not changed owner.
    Unexplained(u64),
    /// How far below the highest offset a record was seen, and the window.
    BeyondWindow { depth: u64, window: u64 },
    /// Partitions that hold records of which none was seen.
    PartitionsStalled(u64),
    /// Incarnations that should have processed something.
    InstancesStalled(Vec<u64>),
    /// Records in the dead-letter topic.
    DeadLetters(u64),
    /// Rows of the sink that differ from the reference.
    Totals(u64),
    /// What the scenario itself saw go wrong.
    Scenario(String),
}

/// Repeats that are legal: for each partition as many windows as it changed owners, but no more
/// than there were disturbances.
pub(crate) fn repeat_bound(findings: &Findings, allowance: &Allowance) -> u64 {
    let changes = findings
        .owner_changes
        .iter()
        .map(|changes| match allowance.repeats {
            Repeats::None => 0,
            Repeats::Restarts => (*changes).min(allowance.disturbances),
            Repeats::Rebalances | Repeats::Zombies => allowance.disturbances,
        });
    changes.sum::<u64>().saturating_mul(allowance.window)
}

/// All broken promises of an output topic.
pub(crate) fn judge(findings: &Findings, allowance: &Allowance) -> Vec<Violation> {
    let bound = repeat_bound(findings, allowance);
    let depth = findings.depth;
    let window = allowance.window;
    let unexplained = match allowance.repeats {
        Repeats::Rebalances | Repeats::Zombies => 0,
        Repeats::None | Repeats::Restarts => findings.unexplained,
    };
    let out_of_order = match allowance.repeats {
        Repeats::Zombies => findings.out_of_order - findings.skipped,
        Repeats::None | Repeats::Restarts | Repeats::Rebalances => findings.out_of_order,
    };
    let idle = |i: &u64| !findings.incarnations.contains(i);
    let stalled: Vec<u64> = allowance
        .incarnations
        .iter()
        .copied()
        .filter(idle)
        .collect();
    let unfinished = findings.partitions - findings.partitions_progressed;
    let faults = [
        (findings.lost > 0, Violation::Lost(findings.lost)),
        (findings.altered > 0, Violation::Altered(findings.altered)),
        (findings.foreign > 0, Violation::Foreign(findings.foreign)),
        (out_of_order > 0, Violation::OutOfOrder(out_of_order)),
        (
            findings.repeated > bound,
            Violation::Repeated {
                repeated: findings.repeated,
                bound,
            },
        ),
        (unexplained > 0, Violation::Unexplained(unexplained)),
        (depth >= window, Violation::BeyondWindow { depth, window }),
        (unfinished > 0, Violation::PartitionsStalled(unfinished)),
        (!stalled.is_empty(), Violation::InstancesStalled(stalled)),
    ];
    faults
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, violation)| violation)
        .collect()
}

/// Repeats that are legal in a sink, which does not say who applied what: a window of every
/// partition for each disturbance.
pub(crate) fn sink_repeat_bound(allowance: &Allowance, partitions: u32) -> u64 {
    let disturbances = match allowance.repeats {
        Repeats::None => 0,
        Repeats::Restarts | Repeats::Rebalances | Repeats::Zombies => allowance.disturbances,
    };
    disturbances
        .saturating_mul(allowance.window)
        .saturating_mul(partitions.into())
}

/// All broken promises of an embedded sink.
pub(crate) fn judge_sink(findings: &SinkFindings, repeated: u64, bound: u64) -> Vec<Violation> {
    let stalled = findings.partitions - findings.partitions_progressed;
    let faults = [
        (findings.lost > 0, Violation::Lost(findings.lost)),
        (
            findings.out_of_order > 0,
            Violation::OutOfOrder(findings.out_of_order),
        ),
        (repeated > bound, Violation::Repeated { repeated, bound }),
        (stalled > 0, Violation::PartitionsStalled(stalled)),
        (
            findings.mismatches > 0,
            Violation::Totals(findings.mismatches),
        ),
    ];
    faults
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, violation)| violation)
        .collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(n) => write!(f, "{n} records lost"),
            Self::Altered(n) => write!(f, "{n} records with another key or value"),
            Self::Foreign(n) => write!(f, "{n} records that were never produced"),
            Self::OutOfOrder(n) => write!(f, "{n} records out of order within their key"),
            Self::Repeated { repeated, bound } => write!(f, "{repeated} repeats, legal {bound}"),
            Self::Unexplained(n) => write!(f, "{n} repeats without a change of owner"),
            Self::BeyondWindow { depth, window } => {
                write!(
                    f,
                    "a record {depth} offsets below the highest seen, window {window}"
                )
            }
            Self::PartitionsStalled(n) => write!(f, "{n} partitions made no progress"),
            Self::InstancesStalled(which) => write!(f, "processors {which:?} made no progress"),
            Self::DeadLetters(n) => write!(f, "{n} dead letters"),
            Self::Totals(n) => write!(f, "{n} rows of the sink differ from the reference"),
            Self::Scenario(what) => f.write_str(what),
        }
    }
}
