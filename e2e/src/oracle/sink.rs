//! Compares what the embedded sink holds with totals computed from the ledger alone.
//! Layer: core

use std::collections::BTreeMap;

use crate::{
    ledger::Ledger,
    workload::{Event, PRODUCTS},
};

/// Totals of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Distinct events.
    pub(crate) events: u64,
    /// Sequence number of the last of them, in log order.
    pub(crate) last_sequence: u64,
}

/// Totals of one product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Product {
    views: u64,
    cents: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct SinkFindings {
    /// Event ids without a row.
    pub(crate) lost: u64,
    /// Events inserted after a later one of their key.
    pub(crate) out_of_order: u64,
    /// Rows that are missing, extra or different.
    pub(crate) mismatches: u64,
    /// Partitions that hold records.
    pub(crate) partitions: u64,
    /// Of these, those with a row.
    pub(crate) partitions_progressed: u64,
    /// The first few differences, in words.
    pub(crate) examples: Vec<String>,
}

/// Consumes the rows of the sink. A few bytes a record and key.
pub(crate) struct SinkCheck<'a> {
    ledger: &'a Ledger,
    /// Whether an event id has its row, by sequence.
    events: Vec<bool>,
    /// Last offset inserted, by key.
    inserted: Vec<Option<u64>>,
    visits: Vec<Visit>,
    products: Vec<Product>,
    partitions: Vec<bool>,
    findings: SinkFindings,
}

impl<'a> SinkCheck<'a> {
    /// Computes the reference.
    pub(crate) fn new(ledger: &'a Ledger) -> Self {
        let workload = ledger.workload();
        let mut check = Self {
            ledger,
            events: vec![false; usize::try_from(ledger.records()).expect("records fit memory")],
            inserted: vec![None; workload.keys as usize],
            visits: vec![Visit::default(); workload.keys as usize],
            products: vec![Product::default(); usize::try_from(PRODUCTS).expect("a small number")],
            partitions: vec![false; workload.partitions as usize],
            findings: SinkFindings::default(),
        };
        (0..)
            .zip(0..ledger.records())
            .for_each(|(s, _)| check.expect_event(&workload.event(s)));
        check
    }

    fn expect_event(&mut self, event: &Event) {
        if event.is_duplicate() {
            return;
        }
        let visit = &mut self.visits[event.key as usize];
        *visit = Visit {
            events: visit.events + 1,
            last_sequence: event.sequence.into(),
        };
        let product = &mut self.products[event.product as usize];
        product.views += 1;
        product.cents += u64::from(event.cents);
    }

    /// A created document, in the order of insertion.
    pub(crate) fn event(&mut self, id: &str, partition: u32, offset: u64) {
        let Some(event) = self.ledger.event(partition, offset) else {
            return self.differs(|| format!("event {id} of unknown position {partition}/{offset}"));
        };
        if id.strip_prefix("e-") != Some(event.sequence.to_string().as_str()) {
            return self.differs(|| format!("event {id} stands at {partition}/{offset}"));
        }
        if std::mem::replace(&mut self.events[event.sequence as usize], true) {
            return self.differs(|| format!("event {id} twice"));
        }
        self.partitions[partition as usize] = true;
        let before = self.inserted[event.key as usize].replace(offset);
        self.findings.out_of_order += u64::from(before.is_some_and(|b| b > offset));
    }

    /// The totals of a key.
    pub(crate) fn visit(&mut self, id: &str, found: Visit) {
        let slot = index(id, "k-").and_then(|key| self.visits.get_mut(key));
        let expected = slot.map(std::mem::take).unwrap_or_default();
        if expected != found {
            self.differs(|| format!("visits of {id}: {found:?}, expected {expected:?}"));
        }
    }

    /// A counter of a product.
    pub(crate) fn counter(&mut self, id: &str, field: &str, found: i64) {
        let product = index(id, "p-").and_then(|product| self.products.get_mut(product));
        let expected = match (product, field) {
            (Some(product), "views") => std::mem::take(&mut product.views),
            (Some(product), "revenueCents") => std::mem::take(&mut product.cents),
            _ => 0,
        };
        if u64::try_from(found) != Ok(expected) {
            self.differs(|| format!("{field} of {id}: {found}, expected {expected}"));
        }
    }

    /// Counts what no row has claimed.
    pub(crate) fn finish(mut self) -> SinkFindings {
        let workload = self.ledger.workload();
        for (sequence, row) in (0..).zip(std::mem::take(&mut self.events)) {
            let missing = !row && !workload.event(sequence).is_duplicate();
            self.findings.lost += u64::from(missing);
        }
        let visits = self
            .visits
            .iter()
            .filter(|v| **v != Visit::default())
            .count();
        let views = self.products.iter().filter(|p| p.views > 0).count();
        let cents = self.products.iter().filter(|p| p.cents > 0).count();
        let unclaimed = BTreeMap::from([("visits", visits), ("views", views), ("revenue", cents)]);
        for (what, count) in unclaimed.into_iter().filter(|(_, count)| *count > 0) {
            self.findings.mismatches += count as u64 - 1;
            self.differs(|| format!("{count} totals of {what} are missing"));
        }
        self.findings.partitions = self.ledger.lengths().iter().filter(|l| **l > 0).count() as u64;
        self.findings.partitions_progressed = self.partitions.iter().filter(|p| **p).count() as u64;
        self.findings
    }

    fn differs(&mut self, what: impl FnOnce() -> String) {
        self.findings.mismatches += 1;
        if self.findings.examples.len() < 5 {
            self.findings.examples.push(what());
        }
    }
}

fn index(id: &str, prefix: &str) -> Option<usize> {
    id.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests;
