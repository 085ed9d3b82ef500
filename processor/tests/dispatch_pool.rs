//! The pod's dispatcher with real tasks: every record once, in order, within the budget.
//! Layer: test

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use penstock_processor::{
    dispatch::{
        Blame, Epoch, Full, Key, Limits, Tick,
        pool::{
            Admission, Budgets, Dispatcher, Gate, Job, Lanes, Locality, Next, Outcome, PoolId,
            Watermark, Worker,
        },
    },
    record::{TopicId, TopicPartition},
};

const LIMITS: Limits = Limits {
    records: 64,
    bytes: 1 << 20,
    window: 128,
    running: 4,
    detached_running: 4,
};
const BUDGETS: Budgets = Budgets {
    pod_bytes: 1 << 20,
    partition: LIMITS,
};

/// Offsets by partition, lane and key, in the order in which they were worked on.
type Seen = BTreeMap<(TopicPartition, u8, u64), Vec<i64>>;

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicId(0),
        partition: number,
    }
}

fn admission(offset: i64, key: u64, charge: u64) -> Admission<u64> {
    Admission {
        offset,
        key: Key::Hash(key),
        charge,
        payload: key,
    }
}

/// Admits `records` records to each partition as the window allows, until all are committed.
async fn feed(dispatcher: &Dispatcher<u64>, partitions: i32, records: i64) {
    let mut next = vec![0; usize::try_from(partitions).expect("a small number")];
    let (mut batch, mut marks) = (VecDeque::new(), Vec::new());
    while next.iter().any(|&offset| offset < records)
        || dispatcher
            .snapshot()
            .iter()
            .any(|p| p.engine.watermark != Some(records))
    {
        for (number, offset) in (0..).zip(&mut next) {
            batch.clear();
            batch.extend(
                (*offset..records.min(*offset + 32)).map(|at| {
                    admission(at, u64::try_from(at * 7 % 13).expect("a small number"), 100)
                }),
            );
            let admitted = dispatcher.admit(partition(number), &mut batch);
            *offset += i64::try_from(admitted.records).expect("a small number");
        }
        dispatcher.watermarks(&mut marks);
        marks
            .drain(..)
            .for_each(|mark| dispatcher.acknowledged(mark));
        tokio::task::yield_now().await;
    }
}

async fn stress(lanes: Lanes, pools: &[(u8, usize)], locality: Locality) {
    let stages = 3_u8;
    let dispatcher: Dispatcher<u64> = Dispatcher::new(lanes, BUDGETS);
    (0..4).for_each(|number| dispatcher.assign(partition(number), Epoch(1)));
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let mut tasks = Vec::new();
    for &(pool, workers) in pools {
        for _ in 0..workers {
            let mut worker = dispatcher.worker(PoolId(pool), locality);
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                while worker.next().await == Next::Turn {
                    while let Some(job) = worker.pop() {
                        let place = (job.partition, job.lane, job.payload);
                        seen.lock().entry(place).or_default().push(job.offset);
                        tokio::task::yield_now().await;
                        worker.settle(job.seat, Outcome::Advance(job.payload));
                    }
                }
            }));
        }
    }
    let fed = tokio::time::timeout(Duration::from_secs(60), feed(&dispatcher, 4, 2_000)).await;
    fed.expect("no wake is lost");
    dispatcher.close();
    for task in tasks {
        task.await.expect("the worker did not panic");
    }
    dispatcher.check().expect("every invariant holds");
    assert_eq!((dispatcher.pod().bytes, dispatcher.pod().records), (0, 0));
    let seen = seen.lock();
    assert!(
        seen.values()
            .all(|offsets| offsets.is_sorted_by(|a, b| a < b)),
        "order per key"
    );
    let total: usize = seen.values().map(Vec::len).sum();
    assert_eq!(
        total,
        4 * 2_000 * usize::from(stages),
        "each record once in every lane"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_records_pass_all_lanes_once_and_in_order() {
    stress(Lanes::with_detached(2), &[(0, 5), (1, 3)], Locality::Remote).await;
    stress(
        Lanes::isolated(2),
        &[(0, 1), (1, 2), (2, 7)],
        Locality::Local,
    )
    .await;
}

#[tokio::test]
async fn a_partition_over_its_share_gives_way_and_the_others_are_served() {
    let budgets = Budgets {
        pod_bytes: 1_000,
        partition: LIMITS,
    };
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(0), budgets);
    (0..4).for_each(|number| dispatcher.assign(partition(number), Epoch(1)));
    let mut batch: VecDeque<_> = (0..20).map(|at| admission(at, 1, 100)).collect();
    let greedy = dispatcher.admit(partition(0), &mut batch);
    assert_eq!((greedy.records, greedy.stopped), (7, Some(Full::Share)));
    let mut batch: VecDeque<_> = (0..20).map(|at| admission(at, 1, 100)).collect();
    let modest = dispatcher.admit(partition(1), &mut batch);
    assert_eq!((modest.records, modest.stopped), (2, Some(Full::Share)));
    let mut batch: VecDeque<_> = (0..20).map(|at| admission(at, 1, 100)).collect();
    let last = dispatcher.admit(partition(2), &mut batch);
    assert_eq!((last.records, last.stopped), (1, Some(Full::Pod)));
    dispatcher.check().expect("every invariant holds");
}

#[tokio::test]
async fn gates_of_different_reasons_do_not_open_each_other() {
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(0), BUDGETS);
    dispatcher.assign(partition(0), Epoch(1));
    dispatcher.close_gate(Gate::Operator);
    dispatcher.close_gate(Gate::Memory);
    dispatcher.open_gate(Gate::Memory);
    let mut batch = VecDeque::from([admission(0, 1, 1)]);
    assert_eq!(
        dispatcher.admit(partition(0), &mut batch).stopped,
        Some(Full::Gate)
    );
    dispatcher.open_gate(Gate::Operator);
    assert_eq!(dispatcher.admit(partition(0), &mut batch).stopped, None);
}

#[tokio::test]
async fn a_stale_completion_frees_memory_and_nothing_else() {
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(0), BUDGETS);
    dispatcher.assign(partition(0), Epoch(1));
    let mut batch: VecDeque<_> = (0..2).map(|at| admission(at, 1, 100)).collect();
    dispatcher.admit(partition(0), &mut batch);
    let mut worker = dispatcher.worker(PoolId(0), Locality::Remote);
    assert_eq!(worker.next().await, Next::Turn);
    let job = worker.pop().unwrap();
    dispatcher.begin_revoke(&[partition(0)]);
    assert_eq!(
        (dispatcher.running(&[partition(0)]), dispatcher.pod().bytes),
        (1, 100)
    );
    dispatcher.finish_revoke(&[partition(0)]);
    dispatcher.assign(partition(0), Epoch(2));
    worker.settle(job.seat, Outcome::Complete);
    worker.finish();
    assert_eq!(dispatcher.pod().bytes, 0);
    let mut marks = Vec::new();
    dispatcher.watermarks(&mut marks);
    assert_eq!(marks, Vec::<Watermark>::new());
    dispatcher.check().expect("every invariant holds");
}

/// Fails some runs, revokes and reassigns at every turn, and must still finish every record.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failures_and_rebalances_lose_no_record_and_no_wake() {
    const RECORDS: i64 = 400;
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(1), BUDGETS);
    let tasks: Vec<_> = [0, 0, 0, 1, 1]
        .map(|pool| tokio::spawn(churn(dispatcher.worker(PoolId(pool), Locality::Local))))
        .into();
    let rebalancing = async {
        let (mut committed, mut epoch, mut now) = (0, 0, 0);
        while committed < RECORDS {
            epoch += 1;
            dispatcher.assign(partition(0), Epoch(epoch));
            committed = serve_epoch(&dispatcher, committed, RECORDS, &mut now).await;
            if epoch % 3 == 0 {
                dispatcher.lose(&[partition(0)]);
            } else {
                dispatcher.begin_revoke(&[partition(0)]);
                while epoch % 3 == 1 && dispatcher.running(&[partition(0)]) > 0 {
                    tokio::task::yield_now().await;
                }
                dispatcher.finish_revoke(&[partition(0)]);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rebalancing)
        .await
        .expect("no wake is lost");
    dispatcher.close();
    for task in tasks {
        task.await.expect("the worker did not panic");
    }
    dispatcher.check().expect("every invariant holds");
    assert_eq!((dispatcher.pod().bytes, dispatcher.pod().records), (0, 0));
}

/// Ends every fifth run with a failure.
async fn churn(mut worker: Worker<u64>) {
    let mut runs = 0_u64;
    while worker.next().await == Next::Turn {
        while let Some(job) = worker.pop() {
            runs += 1;
            let blame = if runs.is_multiple_of(2) {
                Blame::Record
            } else {
                Blame::Sink
            };
            let outcome = if runs.is_multiple_of(5) {
                Outcome::Park {
                    payload: job.payload,
                    until: Tick(runs % 50),
                    blame,
                }
            } else {
                Outcome::Advance(job.payload)
            };
            tokio::task::yield_now().await;
            worker.settle(job.seat, outcome);
        }
    }
}

/// Feeds one epoch from the committed position until 40 more records are committed.
async fn serve_epoch(
    dispatcher: &Dispatcher<u64>,
    committed: i64,
    records: i64,
    now: &mut u64,
) -> i64 {
    let (mut next, mut position) = (committed, committed);
    let (mut batch, mut marks) = (VecDeque::new(), Vec::new());
    while position < records.min(committed + 40) {
        batch.clear();
        batch.extend(
            (next..records.min(next + 16))
                .map(|at| admission(at, u64::try_from(at * 7 % 13).expect("a small number"), 100)),
        );
        let admitted = dispatcher.admit(partition(0), &mut batch);
        next += i64::try_from(admitted.records).expect("a small number");
        *now += 1;
        dispatcher.tick(Tick(*now));
        dispatcher.watermarks(&mut marks);
        for mark in marks.drain(..) {
            assert!(
                (position..=next).contains(&mark.offset),
                "a commit never goes back"
            );
            position = mark.offset;
            dispatcher.acknowledged(mark);
        }
        tokio::task::yield_now().await;
    }
    position
}

/// A partition with a backlog gets one turn in a round: what comes to another waits for no more
/// than that.
#[tokio::test]
async fn a_backlog_of_one_partition_delays_another_by_one_turn() {
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(0), BUDGETS);
    (0..3).for_each(|number| dispatcher.assign(partition(number), Epoch(1)));
    for number in [0, 1] {
        let mut batch = (0..40)
            .map(|at| admission(at, at.unsigned_abs(), 10))
            .collect();
        let admitted = dispatcher.admit(partition(number), &mut batch);
        assert_eq!(admitted.records, 40);
    }
    let mut worker = dispatcher.worker(PoolId(0), Locality::Local);
    let mut turns = Vec::new();
    for turn in 0..8 {
        if turn == 2 {
            let mut batch = VecDeque::from([admission(0, 7, 10)]);
            assert_eq!(dispatcher.admit(partition(2), &mut batch).records, 1);
        }
        assert_eq!(worker.next().await, Next::Turn);
        let mut of = None;
        while let Some(job) = worker.pop() {
            of = Some(job.partition.partition);
            worker.settle(job.seat, Outcome::Complete);
        }
        turns.extend(of);
    }
    assert_eq!(turns, [0, 1, 0, 2, 1, 0, 1, 0]);
}

/// Whoever keeps time hears of the first parked key, and that there is none left.
#[tokio::test]
async fn a_parked_key_is_told_until_its_time_has_come() {
    let dispatcher: Dispatcher<u64> = Dispatcher::new(Lanes::with_detached(0), BUDGETS);
    dispatcher.assign(partition(0), Epoch(1));
    dispatcher.admit(partition(0), &mut VecDeque::from([admission(0, 7, 10)]));
    let mut worker = dispatcher.worker(PoolId(0), Locality::Local);
    assert_eq!(worker.next().await, Next::Turn);
    assert!(!dispatcher.tick(Tick(1)), "nothing waits yet");
    let Job { seat, payload, .. } = worker.pop().expect("one record is there");
    let park = Outcome::Park {
        payload,
        until: Tick(5),
        blame: Blame::Sink,
    };
    worker.settle(seat, park);
    worker.finish();
    dispatcher.parked().await;
    assert!(dispatcher.tick(Tick(4)), "its time has not come");
    assert!(!dispatcher.tick(Tick(5)), "it is ready");
    assert_eq!(worker.next().await, Next::Turn);
}
