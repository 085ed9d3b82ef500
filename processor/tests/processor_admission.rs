//! The source's records into a real dispatcher: what fits is what is taken, oversize by reference.
//! Layer: test

use std::{collections::VecDeque, sync::Arc};

use futures::FutureExt as _;
use penstock_processor::{
    admission::{Admissions, DispatcherIntake},
    dispatch::{
        Key, Limits,
        pool::{self, Budgets, Dispatcher, Job, Lanes, Locality, Next, Outcome, PoolId},
    },
    failure::dead_letter::Content,
    keys::{self, KeyRule},
    record::{Parts, Position, TopicId, TopicPartition},
    source::intake::{
        Assigned, Body, Epoch, HeldReason, Intake, Offered, Oversize, Urgency, Watermark,
    },
    work::Work,
};
use penstock_sizing::record_charge;
use proptest::prelude::*;

const STOREFRONT: &str = include_str!("../../crds/examples/storefront.yaml");

const LIMITS: Limits = Limits {
    records: 20,
    bytes: 1 << 20,
    window: 40,
    running: 4,
    detached_running: 4,
};

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicId(0),
        partition: number,
    }
}

fn dispatcher<T>(partition: Limits, pod_bytes: u64) -> Dispatcher<T> {
    let budgets = Budgets {
        pod_bytes,
        partition,
    };
    Dispatcher::new(Lanes::isolated(0), budgets)
}

/// An intake for the storefront, with `key` as its source's key, and partition 0 assigned.
fn intake(dispatcher: &Dispatcher<Work>, key: &str) -> DispatcherIntake {
    // Counting is legal under the record's own key only.
    let object = STOREFRONT
        .replace("key: Record\n", &format!("key: {key}\n"))
        .replace("operator: Inc", "operator: Set");
    let pipeline = penstock_crds::parse(&object)
        .expect("a valid object")
        .pipeline;
    let mut intake = DispatcherIntake::new(Admissions {
        dispatcher: dispatcher.clone(),
        topics: vec![Arc::from("t")],
        generation: 0,
        key_rule: KeyRule::of(&pipeline),
        hasher: keys::hasher(&pipeline),
        largest: 1000,
    });
    intake.assign(&[Assigned {
        partition: partition(0),
        epoch: Epoch(1),
        committed: None,
    }]);
    intake
}

fn offered(offset: i64, body: Body<'_>) -> Offered<'_> {
    Offered {
        position: Position {
            partition: partition(0),
            offset,
        },
        epoch: Epoch(1),
        body,
    }
}

fn record<'a>(key: &'a [u8], headers: &'a [(&'a str, Option<&'a [u8]>)]) -> Body<'a> {
    Body::Record(Parts {
        key: Some(key),
        value: Some(b"{}"),
        headers,
        timestamp_ms: 0,
    })
}

/// Takes what may run now, and leaves it running.
fn take<T>(dispatcher: &Dispatcher<T>) -> Vec<Job<T>> {
    let mut jobs = Vec::new();
    // A worker of its own for each, so that nothing waits for a turn to end.
    loop {
        let mut worker = dispatcher.worker(PoolId(0), Locality::Remote);
        if worker.next().now_or_never() != Some(Next::Turn) {
            return jobs;
        }
        jobs.extend(std::iter::from_fn(|| worker.pop()));
        std::mem::forget(worker);
    }
}

/// Finishes up to `count` records, one by one.
fn finish<T>(dispatcher: &Dispatcher<T>, mut count: usize) {
    let mut worker = dispatcher.worker(PoolId(0), Locality::Local);
    while count > 0 && worker.next().now_or_never() == Some(Next::Turn) {
        while let Some(job) = worker.pop() {
            worker.settle(job.seat, Outcome::Complete);
            count = count.saturating_sub(1);
        }
    }
}

/// A batch for a partition, and how many records finish after it.
type Round = (i32, Vec<(i64, u64, u64)>, usize);

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let record = (1_i64..3, 0_u64..6, 500_u64..3000);
    let round = (0..3, prop::collection::vec(record, 0..30), 0_usize..20);
    prop::collection::vec(round, 1..20)
}

proptest! {
    #[test]
    fn what_has_room_is_what_is_admitted(
        rounds in rounds(),
        (records, window) in (1_u32..40, 1_u32..60),
        (bytes, pod_bytes) in (500_u64..40_000, 500_u64..60_000),
    ) {
        let limits = Limits { records, window, bytes, ..LIMITS };
        let dispatcher = dispatcher::<u64>(limits, pod_bytes);
        (0..3).for_each(|number| {
            dispatcher.assign(partition(number), penstock_processor::dispatch::Epoch(1));
        });
        let mut next = [0; 3];
        for (number, batch, finished) in rounds {
            let offset = &mut next[number as usize];
            let mut at = *offset;
            let mut admissions: VecDeque<_> = batch.into_iter().map(|(gap, key, charge)| {
                at += gap;
                pool::Admission { offset: at, key: Key::Hash(key), charge, payload: key }
            }).collect();
            let charges: Vec<_> = admissions.iter().map(|a| (a.offset, a.charge)).collect();
            let room = dispatcher.room(partition(number), &charges);
            let admitted = dispatcher.admit(partition(number), &mut admissions);
            prop_assert_eq!(room, admitted);
            prop_assert_eq!(admissions.len(), charges.len() - admitted.records);
            if let Some(last) = admitted.records.checked_sub(1) {
                *offset = charges[last].0;
            }
            finish(&dispatcher, finished);
            dispatcher.check().expect("every invariant holds");
        }
    }
}

#[test]
fn what_does_not_fit_stays_with_the_source() {
    let dispatcher = dispatcher(LIMITS, 1 << 20);
    let mut intake = intake(&dispatcher, "Record");
    let keys: Vec<[u8; 1]> = (0..30).map(|n| [n]).collect();
    let batch: Vec<_> = (0..)
        .zip(&keys)
        .map(|(at, key)| offered(at, record(key, &[])))
        .collect();
    let admission = intake.admit(&batch);
    assert_eq!(admission.taken, 20);
    let held = admission.held.expect("ten are left");
    assert_eq!(
        (held.partition, held.reason),
        (partition(0), HeldReason::PartitionFull)
    );
    assert_eq!(dispatcher.pod().records, 20);
    dispatcher.close_gate(pool::Gate::Operator);
    finish(&dispatcher, 20);
    let admission = intake.admit(&batch[20..]);
    assert_eq!(admission.taken, 0);
    assert_eq!(
        admission.held.map(|held| held.reason),
        Some(HeldReason::GateClosed)
    );
    dispatcher.open_gate(pool::Gate::Operator);
    assert_eq!(intake.admit(&batch[20..]).taken, 10);
}

#[test]
fn an_oversize_record_is_taken_by_reference() {
    let dispatcher = dispatcher(LIMITS, 1 << 20);
    let mut intake = intake(&dispatcher, "Record");
    let key = [7; 5000];
    let large = Body::Oversize(Oversize {
        key: Some(&key),
        headers: &[],
        bytes: 1 << 30,
        timestamp_ms: 5,
    });
    // A gigabyte in the log costs the pod no more than its place.
    assert_eq!(intake.admit(&[offered(3, large)]).taken, 1);
    assert_eq!(dispatcher.pod().bytes, record_charge(1024));
    let [job] = &take(&dispatcher)[..] else {
        panic!("one record")
    };
    let work = &job.payload;
    let kept = work.event().record();
    assert_eq!(
        (kept.key().map(<[u8]>::len), kept.value()),
        (Some(1024), None)
    );
    assert_eq!(kept.timestamp_ms(), 5);
    assert_eq!(work.letter_content(), Content::Reference);
    assert_eq!(
        work.refusal().expect("no stage may see it").to_string(),
        "stage source: record of 1073741824 bytes, source.maxMessageBytes allows 1000"
    );
}

/// Offers an oversize record and one behind it that has the same key, or not; how many may run.
fn running(key: &str, (first, second): (&[u8], &[u8])) -> usize {
    let dispatcher = dispatcher(LIMITS, 1 << 20);
    let mut intake = intake(&dispatcher, key);
    let [one, two] = [first, second].map(|value| [("user", Some(value))]);
    let by_header = key != "Record";
    let own = |value| if by_header { &b"own"[..] } else { value };
    let large = Body::Oversize(Oversize {
        key: Some(own(first)),
        headers: &one,
        bytes: 2000,
        timestamp_ms: 0,
    });
    let batch = [offered(0, large), offered(1, record(own(second), &two))];
    assert_eq!(intake.admit(&batch).taken, 2);
    take(&dispatcher).len()
}

#[test]
fn an_oversize_record_keeps_its_place_in_its_key() {
    // Longer than what is kept of it.
    let long = [1; 2000];
    let other = [[1; 1999].as_slice(), &[2]].concat();
    assert_eq!(running("Record", (&long, &long)), 1);
    assert_eq!(running("Record", (&long, &other)), 2);
    assert_eq!(running("{header: user}", (b"a", b"a")), 1);
    assert_eq!(running("{header: user}", (b"a", b"b")), 2);
}

#[test]
fn fullness_and_urgency_follow_the_fullest_budget() {
    let dispatcher = dispatcher(LIMITS, 1 << 20);
    let mut intake = intake(&dispatcher, "Record");
    let fill = |intake: &mut DispatcherIntake| intake.fill_percent(partition(0));
    let batch: Vec<_> = (0..18).map(|at| offered(at, record(b"k", &[]))).collect();
    assert_eq!((fill(&mut intake), intake.urgency()), (0, Urgency::Routine));
    assert_eq!(intake.admit(&batch[..9]).taken, 9);
    // 9 of 20 records are 45 %; a quarter of the window is 10.
    assert_eq!(
        (fill(&mut intake), intake.urgency()),
        (45, Urgency::Routine)
    );
    assert_eq!(intake.admit(&batch[9..]).taken, 9);
    assert_eq!((fill(&mut intake), intake.urgency()), (90, Urgency::Urgent));
    finish(&dispatcher, 18);
    // Finished, but a crash would repeat them: 18 of 40.
    assert_eq!((fill(&mut intake), intake.urgency()), (45, Urgency::Urgent));
    let mut marks = Vec::new();
    intake.watermarks(&mut marks);
    let done = Watermark {
        partition: partition(0),
        epoch: Epoch(1),
        offset: 18,
    };
    assert_eq!(marks, [done]);
    intake.acknowledged(&marks);
    assert_eq!((fill(&mut intake), intake.urgency()), (0, Urgency::Routine));
    assert_eq!(intake.fill_percent(partition(1)), 0);
}
