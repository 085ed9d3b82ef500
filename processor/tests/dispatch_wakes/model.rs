//! Small worlds of workers and records whose every schedule must end; shuttle reports one that hangs.
//! Layer: test

use std::{collections::VecDeque, sync::Arc};

use shuttle::future::{JoinHandle, block_on, spawn};
use tokio::sync::Notify;

use crate::{
    dispatch::{
        Epoch, Key, Limits,
        pool::{Admission, Budgets, Dispatcher, Lanes, Locality, Next, Outcome, PoolId},
    },
    record::{TopicId, TopicPartition},
};

/// Schedules of each world.
const SCHEDULES: usize = 3_000;

const BUDGETS: Budgets = Budgets {
    pod_bytes: 1 << 20,
    partition: Limits {
        records: 64,
        bytes: 1 << 20,
        window: 64,
        running: 8,
        detached_running: 8,
    },
};

/// Opens when so many have arrived.
struct Barrier {
    left: shuttle::sync::Mutex<usize>,
    open: Notify,
}

impl Barrier {
    fn of(count: usize) -> Arc<Self> {
        Arc::new(Self {
            left: shuttle::sync::Mutex::new(count),
            open: Notify::new(),
        })
    }

    fn arrive(&self) -> bool {
        let mut left = self.left.lock().expect("nobody panics in here");
        *left -= 1;
        if *left == 0 {
            self.open.notify_waiters();
        }
        *left == 0
    }

    async fn wait(&self) {
        loop {
            let open = self.open.notified();
            if *self.left.lock().expect("nobody panics in here") == 0 {
                return;
            }
            open.await;
        }
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicId(0),
        partition: number,
    }
}

fn world(partitions: i32) -> Dispatcher<u64> {
    let dispatcher = Dispatcher::new(Lanes::with_detached(0), BUDGETS);
    (0..partitions).for_each(|number| dispatcher.assign(partition(number), Epoch(1)));
    dispatcher
}

/// Admits `keys` records of different keys to each partition.
fn admit(dispatcher: &Dispatcher<u64>, partitions: i32, keys: u64) {
    for number in 0..partitions {
        let mut batch: VecDeque<_> = (0..keys)
            .map(|key| Admission {
                offset: key.cast_signed(),
                key: Key::Hash(key),
                charge: 1,
                payload: key,
            })
            .collect();
        let admitted = dispatcher.admit(partition(number), &mut batch);
        assert_eq!(admitted.stopped, None);
    }
}

/// When a worker takes no more.
#[derive(Clone, Copy)]
enum Stays {
    UntilClosed,
    OneTurn,
}

/// A worker whose records arrive at the barrier, and wait for it in `wait`.
fn worker(
    dispatcher: &Dispatcher<u64>,
    locality: Locality,
    stays: Stays,
    (barrier, wait): (Arc<Barrier>, Wait),
) -> JoinHandle<()> {
    let mut worker = dispatcher.worker(PoolId(0), locality);
    spawn(async move {
        while worker.next().await == Next::Turn {
            while let Some(job) = worker.pop() {
                barrier.arrive();
                if wait == Wait::ForAll {
                    barrier.wait().await;
                }
                worker.settle(job.seat, Outcome::Complete);
            }
            if matches!(stays, Stays::OneTurn) {
                return;
            }
        }
    })
}

/// What a record does in a worker's hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Not,
    /// Until every record is in a worker's hand.
    ForAll,
}

fn end(dispatcher: &Dispatcher<u64>, workers: Vec<JoinHandle<()>>) {
    dispatcher.close();
    block_on(async {
        for worker in workers {
            worker.await.expect("the worker does not panic");
        }
    });
    dispatcher.check().expect("every invariant holds");
}

fn every_schedule(world: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(world, SCHEDULES);
    shuttle::check_pct(world, SCHEDULES, 3);
}

/// No record waits while a worker sleeps: each finds one although all of them are held.
fn each_record_has_a_worker(partitions: i32, keys: u64) {
    let records = usize::try_from(partitions).expect("few") * usize::try_from(keys).expect("few");
    let (dispatcher, barrier) = (world(partitions), Barrier::of(records));
    let held = |_| {
        let place = (Arc::clone(&barrier), Wait::ForAll);
        worker(&dispatcher, Locality::Remote, Stays::UntilClosed, place)
    };
    let workers = (0..records).map(held).collect();
    admit(&dispatcher, partitions, keys);
    block_on(barrier.wait());
    end(&dispatcher, workers);
    assert_eq!(dispatcher.pod().records, 0);
}

#[test]
fn no_record_waits_while_a_worker_sleeps() {
    every_schedule(|| each_record_has_a_worker(3, 1));
    every_schedule(|| each_record_has_a_worker(1, 3));
    every_schedule(|| each_record_has_a_worker(2, 2));
}

/// A close finds every worker, asleep or on its way there.
#[test]
fn a_close_reaches_every_worker() {
    every_schedule(|| {
        let (dispatcher, barrier) = (world(1), Barrier::of(2));
        let free = |_| {
            let place = (Arc::clone(&barrier), Wait::Not);
            worker(&dispatcher, Locality::Local, Stays::UntilClosed, place)
        };
        let workers = (0..2).map(free).collect();
        admit(&dispatcher, 1, 2);
        end(&dispatcher, workers);
    });
}

/// Work that came during a hold is done after it.
#[test]
fn a_resume_reaches_every_worker() {
    every_schedule(|| {
        let (dispatcher, barrier) = (world(2), Barrier::of(4));
        let free = |_| {
            let place = (Arc::clone(&barrier), Wait::Not);
            worker(&dispatcher, Locality::Local, Stays::UntilClosed, place)
        };
        let workers = (0..2).map(free).collect();
        dispatcher.hold();
        admit(&dispatcher, 2, 2);
        dispatcher.resume();
        block_on(barrier.wait());
        end(&dispatcher, workers);
        assert_eq!(dispatcher.pod().records, 0);
    });
}

/// A worker that leaves takes no wake with it.
#[test]
fn what_a_leaving_worker_leaves_is_done() {
    every_schedule(|| {
        let (dispatcher, barrier) = (world(2), Barrier::of(4));
        let place = || (Arc::clone(&barrier), Wait::Not);
        let leaves = worker(&dispatcher, Locality::Remote, Stays::OneTurn, place());
        let stays = worker(&dispatcher, Locality::Remote, Stays::UntilClosed, place());
        admit(&dispatcher, 2, 2);
        block_on(barrier.wait());
        end(&dispatcher, vec![leaves, stays]);
        assert_eq!(dispatcher.pod().records, 0);
    });
}
