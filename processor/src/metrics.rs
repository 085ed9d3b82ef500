//! The few metrics of a processor, each with the question it answers; rendered from the status.
//! Layer: core
//!
//! Counters live in [`Counters`], touched once per record; everything else is read when scraped.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    dispatch::Blame,
    status::{Finished, PartitionStatus, Status},
};

/// Name, kind and question of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name in the exposition.
    pub name: &'static str,
    /// Prometheus type.
    pub kind: &'static str,
    /// The question it answers.
    pub question: &'static str,
}

const fn metric(name: &'static str, kind: &'static str, question: &'static str) -> Metric {
    Metric {
        name,
        kind,
        question,
    }
}

const FINISHED: Metric = metric(
    "penstock_records_finished_total",
    "counter",
    "how much is done, and how does it end?",
);
const ATTEMPTS: Metric = metric(
    "penstock_attempts_failed_total",
    "counter",
    "who is to blame for what had to be tried again, the record or a sink?",
);
const LATENCY: Metric = metric(
    "penstock_record_latency_seconds",
    "histogram",
    "how old is a record, by its own timestamp, when it is finished?",
);
const LAG: Metric = metric(
    "penstock_lag_records",
    "gauge",
    "how far behind is each partition?",
);
const WINDOW: Metric = metric(
    "penstock_window_records",
    "gauge",
    "how much would a crash repeat now?",
);
const GEAR: Metric = metric(
    "penstock_gear",
    "gauge",
    "which partition is held back (1) or paused (2)?",
);
const HOT: Metric = metric(
    "penstock_hottest_key_share",
    "gauge",
    "does one key set the ceiling of its partition?",
);
const MEMORY: Metric = metric(
    "penstock_memory_held_bytes",
    "gauge",
    "which part of the plan is in use?",
);
const PLAN: Metric = metric(
    "penstock_memory_plan_bytes",
    "gauge",
    "how was the limit divided?",
);
const WORKING_SET: Metric = metric(
    "penstock_working_set_bytes",
    "gauge",
    "what does the kubelet see of the limit?",
);
const MODEL_ERROR: Metric = metric(
    "penstock_memory_model_error_bytes",
    "gauge",
    "how much of the working set does the ledger not explain (negative is room)?",
);
const GOVERNOR: Metric = metric(
    "penstock_governor_activations_total",
    "counter",
    "did the working set come near the limit although the ledger held?",
);
const DETACHED: Metric = metric(
    "penstock_detached_queued_records",
    "gauge",
    "which detached stage falls behind?",
);
const SINK: Metric = metric(
    "penstock_sink_available",
    "gauge",
    "which sink is behind an open breaker (0)?",
);
const COMMITS: Metric = metric(
    "penstock_commits_failed_total",
    "counter",
    "do commits reach the coordinator?",
);
const REBALANCES: Metric = metric(
    "penstock_rebalances_total",
    "counter",
    "is the group settled or churning?",
);
const FAULTS: Metric = metric(
    "penstock_source_faults_total",
    "counter",
    "did the client break a promise of ours?",
);

/// All metrics, in the order of the exposition.
pub const METRICS: [Metric; 17] = [
    FINISHED,
    ATTEMPTS,
    LATENCY,
    LAG,
    WINDOW,
    GEAR,
    HOT,
    MEMORY,
    PLAN,
    WORKING_SET,
    MODEL_ERROR,
    GOVERNOR,
    DETACHED,
    SINK,
    COMMITS,
    REBALANCES,
    FAULTS,
];

/// Upper bounds of the latency histogram, in milliseconds: each about three times the last.
pub const LATENCY_BOUNDS_MS: [u64; 11] = [
    1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 60_000, 600_000,
];

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Went through every stage.
    Done,
    /// A filter said no.
    Filtered,
    /// Another record had the same id.
    Duplicate,
    /// Acknowledged by the dead-letter topic.
    DeadLettered,
}

/// The end of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// Its own timestamp, milliseconds since 1970; negative when it has none.
    pub timestamp_ms: i64,
}

impl Ended {
    /// 0 for a timestamp that is missing or in the future.
    fn age_ms(self, now: i64) -> u64 {
        if self.timestamp_ms < 0 {
            0
        } else {
            u64::try_from(now - self.timestamp_ms).unwrap_or(0)
        }
    }
}

/// What is counted per record.
#[derive(Debug, Default)]
pub struct Counters {
    outcomes: [AtomicU64; 4],
    blames: [AtomicU64; 2],
    latency: [AtomicU64; LATENCY_BOUNDS_MS.len() + 1],
    latency_sum_ms: AtomicU64,
    inline_runs: AtomicU64,
    inline_micros: AtomicU64,
}

impl Counters {
    /// Counts finished records, whose age is that of `now` (milliseconds since 1970). The sums are
    /// made first: each counter is shared by all workers.
    pub fn finished(&self, ended: &[Ended], now: i64) {
        let (mut outcomes, mut latency, mut sum) = ([0; 4], [0; LATENCY_BOUNDS_MS.len() + 1], 0);
        for end in ended {
            let age = end.age_ms(now);
            outcomes[end.outcome as usize] += 1;
            latency[LATENCY_BOUNDS_MS.partition_point(|bound| *bound < age)] += 1;
            sum += age;
        }
        add(&self.outcomes, &outcomes);
        add(&self.latency, &latency);
        self.latency_sum_ms.fetch_add(sum, Ordering::Relaxed);
    }

    /// Counts a failed attempt.
    pub fn failed(&self, blame: Blame) {
        self.blames[blame as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts runs of the inline stages and the time they took together.
    pub fn served(&self, runs: u64, micros: u64) {
        self.inline_runs.fetch_add(runs, Ordering::Relaxed);
        self.inline_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Mean time of a run of the inline stages, microseconds; 0 before the first.
    #[must_use]
    pub fn service_micros(&self) -> u64 {
        let micros = self.inline_micros.load(Ordering::Relaxed);
        micros
            .checked_div(self.inline_runs.load(Ordering::Relaxed))
            .unwrap_or(0)
    }

    /// Terminal outcomes since the start.
    #[must_use]
    pub fn totals(&self) -> Finished {
        let [done, filtered, duplicates, dead_lettered] =
            [0, 1, 2, 3].map(|i: usize| self.outcomes[i].load(Ordering::Relaxed));
        Finished {
            done,
            filtered,
            duplicates,
            dead_lettered,
        }
    }
}

fn add(counters: &[AtomicU64], counts: &[u64]) {
    for (counter, count) in counters.iter().zip(counts).filter(|(_, count)| **count > 0) {
        counter.fetch_add(*count, Ordering::Relaxed);
    }
}

/// Prometheus text of one moment.
#[must_use]
pub fn render(status: &Status, counters: &Counters) -> String {
    let mut page = Page(String::with_capacity(4096));
    let finished = status.finished;
    page.family(
        FINISHED,
        [
            ("outcome=\"done\"".into(), finished.done.to_string()),
            ("outcome=\"filtered\"".into(), finished.filtered.to_string()),
            (
                "outcome=\"duplicate\"".into(),
                finished.duplicates.to_string(),
            ),
            (
                "outcome=\"dead_letter\"".into(),
                finished.dead_lettered.to_string(),
            ),
        ],
    );
    let blamed = |blame: Blame| {
        counters.blames[blame as usize]
            .load(Ordering::Relaxed)
            .to_string()
    };
    page.family(
        ATTEMPTS,
        [
            ("blame=\"record\"".into(), blamed(Blame::Record)),
            ("blame=\"sink\"".into(), blamed(Blame::Sink)),
        ],
    );
    page.latency(counters);
    partitions(&mut page, &status.partitions);
    pod(&mut page, status);
    page.0
}

fn partitions(page: &mut Page, partitions: &[PartitionStatus]) {
    let each = |value: fn(&PartitionStatus) -> Option<String>| {
        partitions.iter().filter_map(move |p| {
            let labels = format!("topic=\"{}\",partition=\"{}\"", p.topic, p.partition);
            value(p).map(|v| (labels, v))
        })
    };
    page.family(LAG, each(|p| p.lag_records.map(|lag| lag.to_string())));
    page.family(WINDOW, each(|p| Some(p.window.to_string())));
    page.family(GEAR, each(|p| Some(p.gear.to_string())));
    page.family(HOT, each(|p| Some(permille(p.hottest_key_permille))));
}

fn pod(page: &mut Page, status: &Status) {
    let part = |name: &str| format!("part=\"{name}\"");
    let memory = &status.memory;
    let held = memory.parts.iter();
    page.family(
        MEMORY,
        held.filter_map(|p| Some((part(&p.name), p.held_bytes?.to_string()))),
    );
    let planned = memory.parts.iter();
    page.family(
        PLAN,
        planned.map(|p| (part(&p.name), p.planned_bytes.to_string())),
    );
    page.single(WORKING_SET, memory.working_set_bytes);
    page.single(MODEL_ERROR, memory.model_error_bytes);
    page.single(GOVERNOR, Some(memory.governor_activations));
    let queues = status.detached.iter();
    page.family(
        DETACHED,
        queues.map(|d| (format!("stage=\"{}\"", d.stage), d.queued.to_string())),
    );
    let available = |breaker: &str| if breaker == "Open" { "0" } else { "1" }.to_owned();
    let sinks = status.sinks.iter();
    page.family(
        SINK,
        sinks.map(|s| (format!("sink=\"{}\"", s.name), available(&s.breaker))),
    );
    let source = &status.source;
    page.single(COMMITS, Some(source.commit_failures));
    page.single(REBALANCES, Some(source.rebalances));
    page.single(FAULTS, Some(source.faults));
}

/// Per mille as the decimal fraction that Prometheus wants.
fn permille(value: u32) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

/// Milliseconds as decimal seconds.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

struct Page(String);

impl Page {
    fn head(&mut self, metric: Metric) {
        let Metric {
            name,
            kind,
            question,
        } = metric;
        let _ = writeln!(self.0, "# HELP {name} {question}\n# TYPE {name} {kind}");
    }

    fn family(&mut self, metric: Metric, samples: impl IntoIterator<Item = (String, String)>) {
        self.head(metric);
        for (labels, value) in samples {
            let labels = if labels.is_empty() {
                labels
            } else {
                format!("{{{labels}}}")
            };
            let _ = writeln!(self.0, "{}{labels} {value}", metric.name);
        }
    }

    /// A family of one sample, or of none.
    fn single(&mut self, metric: Metric, value: Option<impl ToString>) {
        self.family(
            metric,
            value.map(|value| (String::new(), value.to_string())),
        );
    }

    fn latency(&mut self, counters: &Counters) {
        self.head(LATENCY);
        let name = LATENCY.name;
        let mut total = 0;
        for (index, bucket) in counters.latency.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = LATENCY_BOUNDS_MS
                .get(index)
                .map_or("+Inf".to_owned(), |ms| seconds(*ms));
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = seconds(counters.latency_sum_ms.load(Ordering::Relaxed));
        let _ = writeln!(self.0, "{name}_sum {sum}\n{name}_count {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_on_the_page_with_its_question() {
        let page = render(&Status::default(), &Counters::default());
        for metric in METRICS {
            assert!(page.contains(&format!("# HELP {} {}", metric.name, metric.question)));
            assert!(
                metric.question.ends_with('?'),
                "{} asks nothing",
                metric.name
            );
        }
    }

    #[test]
    fn a_late_record_counts_in_its_bucket_and_above() {
        let counters = Counters::default();
        let ended = |outcome, timestamp_ms| Ended {
            outcome,
            timestamp_ms,
        };
        let ends = [
            ended(Outcome::Done, 699_997),
            ended(Outcome::DeadLettered, 0),
        ];
        counters.finished(&ends, 700_000);
        let page = render(&Status::default(), &counters);
        assert!(page.contains("bucket{le=\"0.001\"} 0\n"), "{page}");
        assert!(page.contains("bucket{le=\"0.003\"} 1\n"), "{page}");
        assert!(page.contains("bucket{le=\"600.000\"} 1\n"), "{page}");
        assert!(page.contains("bucket{le=\"+Inf\"} 2\n"), "{page}");
        assert!(page.contains("_sum 700.003\n"), "{page}");
    }
}
