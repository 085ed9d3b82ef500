//! Right histories pass, and every planted anomaly is caught.
//! Layer: test

use proptest::prelude::*;

use super::{Findings, History, Occurrence};
use crate::{
    ledger::Ledger,
    oracle::{Allowance, Repeats, Violation, judge},
    workload::Workload,
};

const RECORDS: u32 = 400;
const WINDOW: u64 = 24;

/// Position and incarnation.
type Step = (u32, u64, u64);

fn ledger(seed: u64) -> Ledger {
    Ledger::new(
        Workload {
            seed,
            keys: 30,
            partitions: 4,
        },
        RECORDS,
    )
}

fn find(ledger: &Ledger, steps: &[Step]) -> Findings {
    let mut history = History::new(ledger);
    let mut value = Vec::new();
    for (partition, offset, incarnation) in steps.iter().copied() {
        let event = ledger.event(partition, offset);
        event.iter().for_each(|e| e.write_value(&mut value));
        let key = event.map(|e| e.key_bytes()).unwrap_or_default();
        let value = &value;
        history.observe(&Occurrence {
            partition,
            offset,
            incarnation,
            key: &key,
            value,
        });
    }
    history.finish()
}

fn allowance(repeats: Repeats, disturbances: u64) -> Allowance {
    Allowance {
        repeats,
        disturbances,
        window: WINDOW,
        incarnations: Vec::new(),
    }
}

/// A processor that keeps its promises: keys of a partition run beside each other within the
/// window, `crashes` cut it short, and its successor starts at the acknowledged commit.
fn right_run(ledger: &Ledger, dice: &mut impl FnMut(u64) -> u64, crashes: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut commit = vec![0_u64; ledger.lengths().len()];
    for incarnation in 0..=crashes {
        let last = incarnation == crashes;
        for (partition, length) in (0..).zip(ledger.lengths()) {
            let start = commit[partition as usize];
            let mut done: Vec<bool> = vec![false; usize::try_from(length).unwrap()];
            let mut low = start;
            let budget = if last { u64::MAX } else { dice(length) };
            for _ in 0..budget {
                let high = (low + WINDOW).min(length);
                let ready = |o: &u64| {
                    let previous = ledger.previous(partition, u32::try_from(*o).unwrap());
                    let free = u64::from(previous) < start || previous == u32::MAX;
                    !done[usize::try_from(*o).unwrap()] && (free || done[previous as usize])
                };
                let open: Vec<u64> = (low..high).filter(ready).collect();
                let Some(last_open) = open.len().checked_sub(1) else {
                    break;
                };
                let pick = open[usize::try_from(dice(last_open as u64 + 1)).unwrap()];
                done[usize::try_from(pick).unwrap()] = true;
                steps.push((partition, pick, incarnation));
                while low < length && done[usize::try_from(low).unwrap()] {
                    low += 1;
                }
            }
            // The acknowledged commit may stay behind, but admission never ran further than this.
            commit[partition as usize] = low;
        }
    }
    steps
}

fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963);
        (state >> 33) % bound.max(1)
    }
}

proptest! {
    #[test]
    fn a_right_history_passes(seed: u64, crashes in 0..5_u64) {
        let ledger = ledger(seed);
        let steps = right_run(&ledger, &mut dice(seed), crashes);
        let findings = find(&ledger, &steps);
        let repeats = if crashes == 0 { Repeats::None } else { Repeats::Restarts };
        prop_assert_eq!(judge(&findings, &allowance(repeats, crashes)), vec![]);
        prop_assert_eq!(findings.repeated, steps.len() as u64 - u64::from(RECORDS));
    }

    #[test]
    fn a_lost_record_is_caught_and_is_not_called_disorder(seed: u64, at in 0..RECORDS as usize) {
        let ledger = ledger(seed);
        let mut steps = right_run(&ledger, &mut dice(seed), 0);
        steps.remove(at);
        let verdict = judge(&find(&ledger, &steps), &allowance(Repeats::None, 0));
        prop_assert_eq!(verdict, vec![Violation::Lost(1)]);
    }

    #[test]
    fn swapped_records_of_a_key_are_caught(seed: u64, from in 0..RECORDS as usize) {
        let ledger = ledger(seed);
        let mut steps = right_run(&ledger, &mut dice(seed), 0);
        let next = (from..steps.len()).find_map(|b| {
            let (partition, offset, _) = steps[b];
            let previous = ledger.previous(partition, u32::try_from(offset).unwrap());
            let a = steps.iter().position(|s| s.0 == partition && s.1 == u64::from(previous))?;
            Some((a, b))
        });
        prop_assume!(next.is_some());
        let (a, b) = next.unwrap();
        steps.swap(a, b);
        let findings = find(&ledger, &steps);
        prop_assert!(findings.out_of_order > findings.skipped, "also among repeats");
        prop_assert_eq!(findings.lost, 0);
    }

    #[test]
    fn a_repeat_without_a_crash_is_caught(seed: u64, at in 0..RECORDS as usize) {
        let ledger = ledger(seed);
        let mut steps = right_run(&ledger, &mut dice(seed), 0);
        steps.insert(at, steps[at]);
        let findings = find(&ledger, &steps);
        prop_assert_eq!((findings.repeated, findings.unexplained), (1, 1));
        let verdict = judge(&findings, &allowance(Repeats::None, 0));
        prop_assert!(verdict.contains(&Violation::Unexplained(1)));
        let repeated = Violation::Repeated { repeated: 1, bound: 0 };
        prop_assert!(verdict.contains(&repeated));
    }
}

#[test]
fn a_restart_from_the_beginning_is_beyond_the_window() {
    let ledger = ledger(3);
    let mut steps = right_run(&ledger, &mut dice(3), 0);
    let again: Vec<Step> = steps.iter().map(|(p, o, _)| (*p, *o, 1)).collect();
    steps.extend(again);
    let verdict = judge(&find(&ledger, &steps), &allowance(Repeats::Restarts, 1));
    assert!(
        verdict
            .iter()
            .any(|v| matches!(v, Violation::BeyondWindow { .. })),
        "{verdict:?}"
    );
    assert!(
        verdict
            .iter()
            .any(|v| matches!(v, Violation::Repeated { .. })),
        "{verdict:?}"
    );
}

#[test]
fn a_repeated_run_that_skips_a_record_is_disorder() {
    let ledger = ledger(5);
    let run = right_run(&ledger, &mut dice(5), 0);
    let length = ledger.lengths()[0];
    let chain = (0..length).rev().find_map(|third| {
        let previous = |o: u64| {
            let p = ledger.previous(0, u32::try_from(o).unwrap());
            (p != u32::MAX).then_some(u64::from(p))
        };
        Some((previous(previous(third)?)?, third))
    });
    let (first, third) = chain.expect("30 keys share 400 records");
    let mut steps = run;
    steps.extend([(0, first, 1), (0, third, 1)]);
    let findings = find(&ledger, &steps);
    assert_eq!((findings.out_of_order, findings.skipped), (1, 1));
    // As a process that woke may leave it: what is seen first is in order.
    let disorder = |repeats| {
        let broken = judge(&findings, &allowance(repeats, 1));
        broken.contains(&Violation::OutOfOrder(1))
    };
    assert!(disorder(Repeats::Rebalances) && !disorder(Repeats::Zombies));
}

#[test]
fn records_that_were_changed_or_invented_are_caught() {
    let ledger = ledger(9);
    let mut history = History::new(&ledger);
    let key = ledger.event(0, 0).unwrap().key_bytes();
    let altered = Occurrence {
        partition: 0,
        offset: 0,
        incarnation: 0,
        key: &key,
        value: b"{}",
    };
    history.observe(&altered);
    history.observe(&Occurrence {
        offset: 1 << 40,
        ..altered
    });
    history.observe(&Occurrence {
        partition: 99,
        ..altered
    });
    let findings = history.finish();
    assert_eq!((findings.altered, findings.foreign), (1, 2));
}

#[test]
fn a_processor_or_partition_that_stands_still_is_caught() {
    let ledger = ledger(2);
    let steps: Vec<Step> = right_run(&ledger, &mut dice(2), 0);
    let steps: Vec<Step> = steps.into_iter().filter(|s| s.0 != 1).collect();
    let allowance = Allowance {
        incarnations: vec![0, 1],
        ..allowance(Repeats::None, 0)
    };
    let verdict = judge(&find(&ledger, &steps), &allowance);
    assert!(verdict.contains(&Violation::PartitionsStalled(1)));
    assert!(verdict.contains(&Violation::InstancesStalled(vec![1])));
}
