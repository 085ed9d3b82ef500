//! The few metrics of the operator, each with the question it answers.
//! Layer: core

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To its end.
    Done,
    /// Not begun: the watch had not shown our own last write yet.
    Awaited,
    /// Looking failed.
    ObserveFailed,
    /// Writing failed.
    ApplyFailed,
    /// Telling failed.
    ReportFailed,
    /// The object was not one that the API server sent.
    NoIdentity,
    /// A bug of ours, caught.
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Awaited,
        Self::ObserveFailed,
        Self::ApplyFailed,
        Self::ReportFailed,
        Self::NoIdentity,
        Self::Panicked,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Awaited => "awaited_watch",
            Self::ObserveFailed => "observe_failed",
            Self::ApplyFailed => "apply_failed",
            Self::ReportFailed => "report_failed",
            Self::NoIdentity => "no_identity",
            Self::Panicked => "panicked",
        }
    }
}

/// Counters and gauges.
#[derive(Debug, Default)]
pub struct Metrics {
    reconciles: [AtomicU64; 7],
    scrapes: AtomicU64,
    scrapes_failed: AtomicU64,
    pipelines: AtomicU64,
    leads: AtomicU64,
}

/// Name, type and question of one metric.
pub const METRICS: [(&str, &str, &str); 5] = [
    (
        "penstock_operator_reconciles_total",
        "counter",
        "how often was a pipeline looked at, and which step failed?",
    ),
    (
        "penstock_operator_scrapes_total",
        "counter",
        "do the pods answer?",
    ),
    (
        "penstock_operator_scrapes_failed_total",
        "counter",
        "how often did one not?",
    ),
    (
        "penstock_operator_pipelines",
        "gauge",
        "how many pipelines are served?",
    ),
    (
        "penstock_operator_leads",
        "gauge",
        "does this replica lead (1)?",
    ),
];

impl Metrics {
    /// Counts a reconcile.
    pub fn reconciled(&self, outcome: Outcome) {
        let position = Outcome::ALL.iter().position(|other| *other == outcome);
        if let Some(counter) = position.and_then(|position| self.reconciles.get(position)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a round of scrapes.
    pub fn scraped(&self, asked: u64, failed: u64) {
        self.scrapes.fetch_add(asked, Ordering::Relaxed);
        self.scrapes_failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// Tells how many pipelines there are.
    pub fn serves(&self, pipelines: usize) {
        self.pipelines.store(pipelines as u64, Ordering::Relaxed);
    }

    /// Tells whether this replica leads.
    pub fn leads(&self, leads: Leads) {
        self.leads
            .store(u64::from(leads == Leads::Yes), Ordering::Relaxed);
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        for (name, kind, question) in METRICS {
            let lines = self.lines(name);
            write!(
                page,
                "# HELP {name} {question}\n# TYPE {name} {kind}\n{lines}"
            )
            .expect("a String takes every write");
        }
        page
    }

    fn lines(&self, name: &str) -> String {
        let one = |value: &AtomicU64| format!("{name} {}\n", value.load(Ordering::Relaxed));
        match name {
            "penstock_operator_scrapes_total" => one(&self.scrapes),
            "penstock_operator_scrapes_failed_total" => one(&self.scrapes_failed),
            "penstock_operator_pipelines" => one(&self.pipelines),
            "penstock_operator_leads" => one(&self.leads),
            _ => {
                let counted = Outcome::ALL.iter().zip(&self.reconciles);
                let line = counted.map(|(outcome, count)| {
                    let count = count.load(Ordering::Relaxed);
                    format!("{name}{{outcome=\"{}\"}} {count}\n", outcome.label())
                });
                line.collect()
            }
        }
    }
}

/// Whether this replica leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It does.
    Yes,
    /// It does not.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric() {
        let metrics = Metrics::default();
        metrics.reconciled(Outcome::Done);
        metrics.reconciled(Outcome::Panicked);
        metrics.leads(Leads::Yes);
        let page = metrics.page();
        for (name, ..) in METRICS {
            assert!(page.contains(&format!("# TYPE {name} ")), "{page}");
        }
        assert!(page.contains("reconciles_total{outcome=\"done\"} 1\n"));
        assert!(page.contains("reconciles_total{outcome=\"panicked\"} 1\n"));
        assert!(page.contains("penstock_operator_leads 1\n"));
    }
}
