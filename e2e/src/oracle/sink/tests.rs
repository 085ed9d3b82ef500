//! Exact totals pass; doubled, missing, moved and invented rows are caught.
//! Layer: test

use std::collections::BTreeMap;

use super::{SinkCheck, SinkFindings, Visit};
use crate::{
    ledger::Ledger,
    workload::{Event, Workload},
};

const WORKLOAD: Workload = Workload {
    seed: 11,
    keys: 20,
    partitions: 3,
};
const RECORDS: u32 = 500;

/// The rows of a right sink, computed by plain maps.
#[derive(Clone, Default)]
struct Rows {
    events: Vec<(String, u32, u64)>,
    visits: BTreeMap<u32, Visit>,
    counters: BTreeMap<(u32, &'static str), i64>,
}

impl Rows {
    fn right(ledger: &Ledger) -> Self {
        let mut rows = Self::default();
        for (partition, length) in (0..).zip(ledger.lengths()) {
            for offset in 0..length {
                let event = ledger.event(partition, offset).unwrap();
                if !event.is_duplicate() {
                    rows.apply(&event, offset);
                }
            }
        }
        rows
    }

    fn apply(&mut self, event: &Event, offset: u64) {
        self.events
            .push((format!("e-{}", event.sequence), event.partition, offset));
        let visit = self.visits.entry(event.key).or_default();
        visit.events += 1;
        visit.last_sequence = event.sequence.into();
        *self.counters.entry((event.product, "views")).or_default() += 1;
        let cents = i64::from(event.cents);
        *self
            .counters
            .entry((event.product, "revenueCents"))
            .or_default() += cents;
    }

    fn check(&self, ledger: &Ledger) -> SinkFindings {
        let mut check = SinkCheck::new(ledger);
        self.events
            .iter()
            .for_each(|(id, p, o)| check.event(id, *p, *o));
        self.visits
            .iter()
            .for_each(|(key, visit)| check.visit(&format!("k-{key}"), *visit));
        for ((product, field), value) in &self.counters {
            check.counter(&format!("p-{product}"), field, *value);
        }
        check.finish()
    }
}

fn spoiled(spoil: impl FnOnce(&mut Rows)) -> SinkFindings {
    let ledger = Ledger::new(WORKLOAD, RECORDS);
    let mut rows = Rows::right(&ledger);
    spoil(&mut rows);
    rows.check(&ledger)
}

#[test]
fn exact_rows_pass() {
    let findings = spoiled(|_| {});
    assert_eq!(
        (findings.lost, findings.out_of_order, findings.mismatches),
        (0, 0, 0)
    );
    assert_eq!(findings.partitions_progressed, 3);
}

#[test]
fn a_doubled_total_is_caught() {
    let findings = spoiled(|rows| *rows.counters.values_mut().next().unwrap() *= 2);
    assert_eq!(findings.mismatches, 1);
    let findings = spoiled(|rows| rows.visits.values_mut().next().unwrap().events += 1);
    assert_eq!(findings.mismatches, 1);
}

#[test]
fn a_missing_total_is_caught() {
    assert_eq!(
        spoiled(|rows| assert!(rows.counters.pop_first().is_some())).mismatches,
        1
    );
    assert_eq!(
        spoiled(|rows| assert!(rows.visits.pop_first().is_some())).mismatches,
        1
    );
}

#[test]
fn a_lost_event_is_caught() {
    assert_eq!(spoiled(|rows| drop(rows.events.pop())).lost, 1);
}

#[test]
fn a_doubled_or_invented_event_is_caught() {
    assert_eq!(
        spoiled(|rows| rows.events.push(rows.events[0].clone())).mismatches,
        1
    );
    assert_eq!(
        spoiled(|rows| rows.events.push(("e-1".to_owned(), 0, 1 << 40))).mismatches,
        1
    );
    assert_eq!(
        spoiled(|rows| rows.counters.extend([((999, "views"), 1)])).mismatches,
        1
    );
}

#[test]
fn events_inserted_against_the_order_of_their_key_are_caught() {
    assert!(spoiled(|rows| rows.events.reverse()).out_of_order > 0);
}
