//! All partitions, locks and wakes, no work: what the dispatcher carries in process.
//! Layer: shell

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use penstock_processor::{
    dispatch::{
        Epoch, KeyHasher, Limits, NullKeys, Ordering,
        pool::{Admission, Budgets, Dispatcher, Lanes, Locality, Next, Outcome, PoolId, Watermark},
    },
    record::{Parts, Position, Record, TopicId, TopicPartition},
};

use crate::{
    allocations,
    workload::{Skew, Workload},
};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Partitions, fed in turn.
    pub partitions: u16,
    /// Long-lived worker tasks.
    pub workers: usize,
    /// Distinct keys of each partition.
    pub keys: usize,
    /// How hot they are.
    pub skew: Skew,
    /// Records of each partition.
    pub records: i64,
    /// Seed of keys and draws.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Records per second.
    pub rate: u64,
    /// Thousandths of an allocation per record; the record itself is one.
    pub milli_allocations: u64,
    /// Records that started out of order or not exactly once.
    pub faults: u64,
}

/// Records admitted under one lock.
const BATCH: i64 = 64;

/// Last started offset of each key and the number of starts.
struct Watch {
    started: Vec<AtomicI64>,
    starts: AtomicU64,
    faults: AtomicU64,
}

/// Feeds copied records of 1 KiB through the dispatcher until all are done.
///
/// # Panics
/// When the runtime can not be built.
#[must_use]
pub fn measure(shape: Shape) -> Figure {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime can be built")
        .block_on(run(shape))
}

async fn run(shape: Shape) -> Figure {
    let limits = Limits {
        records: 4_096,
        bytes: u64::MAX,
        window: 16_384,
        running: 256,
        detached_running: 1,
    };
    let budgets = Budgets {
        pod_bytes: 1 << 30,
        partition: limits,
    };
    let dispatcher = Dispatcher::new(Lanes::with_detached(0), budgets);
    partitions(shape).for_each(|partition| dispatcher.assign(partition, Epoch(1)));
    let workload = Arc::new(Workload::new(shape.keys, shape.skew, shape.seed));
    let places = shape.keys * usize::from(shape.partitions);
    let watch = Arc::new(Watch {
        started: (0..places).map(|_| AtomicI64::new(-1)).collect(),
        starts: AtomicU64::new(0),
        faults: AtomicU64::new(0),
    });
    let tasks: Vec<_> = (0..shape.workers)
        .map(|_| tokio::spawn(work(dispatcher.clone(), workload.clone(), watch.clone())))
        .collect();
    let (before, start) = (allocations::count(), Instant::now());
    let feeding = dispatcher.clone();
    let fed = tokio::task::spawn_blocking(move || feed(&feeding, &workload, shape));
    fed.await.expect("the feeder does not panic");
    let nanos = u64::try_from(start.elapsed().as_nanos())
        .expect("a run is short")
        .max(1);
    let allocations = allocations::count() - before;
    dispatcher.close();
    for task in tasks {
        task.await.expect("a worker does not panic");
    }
    let records = shape.records.unsigned_abs() * u64::from(shape.partitions);
    let missing = records.abs_diff(watch.starts.load(Relaxed));
    Figure {
        rate: u64::try_from(u128::from(records) * 1_000_000_000 / u128::from(nanos))
            .expect("a rate fits"),
        milli_allocations: allocations * 1_000 / records,
        faults: watch.faults.load(Relaxed) + missing,
    }
}

fn partitions(shape: Shape) -> impl Iterator<Item = TopicPartition> {
    (0..shape.partitions).map(|number| TopicPartition {
        topic: TopicId(0),
        partition: i32::from(number),
    })
}

async fn work(dispatcher: Dispatcher<Record>, workload: Arc<Workload>, watch: Arc<Watch>) {
    let mut worker = dispatcher.worker(PoolId(0), Locality::Local);
    while worker.next().await == Next::Turn {
        while let Some(job) = worker.pop() {
            let number = usize::try_from(job.partition.partition).expect("not negative");
            let place = number * workload.keys() + workload.rank(job.offset) as usize;
            let last = watch.started[place].swap(job.offset, Relaxed);
            watch
                .faults
                .fetch_add(u64::from(last >= job.offset), Relaxed);
            watch.starts.fetch_add(1, Relaxed);
            worker.settle(job.seat, Outcome::Complete);
        }
        tokio::task::consume_budget().await;
    }
}

/// The source's part: copies, admits in batches, acknowledges; until everything may be committed.
fn feed(dispatcher: &Dispatcher<Record>, workload: &Workload, shape: Shape) {
    let hasher = KeyHasher::new(Ordering::PerKey, NullKeys::Spread);
    let value = [b'x'; 1024];
    let mut queues: Vec<_> = partitions(shape)
        .map(|p| (p, 0_i64, VecDeque::with_capacity(64)))
        .collect();
    let mut marks: Vec<Watermark> = Vec::with_capacity(queues.len());
    loop {
        let mut admitted = 0;
        for (partition, next, batch) in &mut queues {
            let end = shape.records.min(*next + BATCH);
            while *next < end && batch.len() < BATCH.unsigned_abs() as usize {
                let key = workload.key(workload.rank(*next));
                let position = Position {
                    partition: *partition,
                    offset: *next,
                };
                let parts = Parts {
                    key: Some(key),
                    value: Some(&value),
                    headers: &[],
                    timestamp_ms: 0,
                };
                let payload = Record::copy(position, &parts);
                let key = hasher.key(Some(key));
                batch.push_back(Admission {
                    offset: *next,
                    key,
                    charge: 1_352,
                    payload,
                });
                *next += 1;
            }
            admitted += dispatcher.admit(*partition, batch).records;
        }
        marks.clear();
        dispatcher.watermarks(&mut marks);
        if marks.len() == queues.len() && marks.iter().all(|m| m.offset == shape.records) {
            return;
        }
        marks.iter().for_each(|&mark| dispatcher.acknowledged(mark));
        if admitted == 0 {
            std::thread::yield_now();
        }
    }
}
