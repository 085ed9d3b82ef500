//! By key: a feeder admits bursts, workers take ready records from the dispatcher.
//! Layer: shell

use std::{collections::VecDeque, sync::Arc, time::Instant};

use parking_lot::Mutex;
use penstock_processor::{
    dispatch::{
        Epoch, KeyHasher, Limits, NullKeys, Ordering,
        pool::{Admission, Budgets, Dispatcher, Lanes, Locality, Next, Outcome, PoolId},
    },
    record::{Record, TopicId, TopicPartition},
};

use super::{BURST, CALL, Figure, PAUSE, Tally, WORKERS, amount, copied, event};
use crate::allocations;

/// A record with its arrival.
type Arrived = (Instant, Record);

const PARTITION: TopicPartition = TopicPartition {
    topic: TopicId(0),
    partition: 0,
};

pub(super) async fn run(bursts: usize) -> Figure {
    let events = bursts * BURST;
    let tally = Tally::new(events);
    let dispatcher = dispatcher();
    let bodies: Vec<_> = (0..events).map(event).collect();
    let before = allocations::count();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(dispatcher.clone(), tally.clone())))
        .collect();
    feed(&bodies, &dispatcher).await;
    while dispatcher.pod().records > 0 {
        tokio::time::sleep(CALL).await;
    }
    dispatcher.close();
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    let allocations = allocations::count() - before;
    tally.lock().figure(events, allocations)
}

fn dispatcher() -> Dispatcher<Arrived> {
    let partition = Limits {
        records: 512,
        bytes: 1 << 24,
        window: 4_096,
        running: 8,
        detached_running: 1,
    };
    let budgets = Budgets {
        pod_bytes: 1 << 24,
        partition,
    };
    let dispatcher = Dispatcher::new(Lanes::with_detached(0), budgets);
    dispatcher.assign(PARTITION, Epoch(1));
    dispatcher
}

async fn feed(bodies: &[String], dispatcher: &Dispatcher<Arrived>) {
    let hasher = KeyHasher::new(Ordering::PerKey, NullKeys::Spread);
    let mut batch = VecDeque::with_capacity(BURST);
    let start = tokio::time::Instant::now();
    for (burst, bodies) in (0..).zip(bodies.chunks(BURST)) {
        tokio::time::sleep_until(start + PAUSE * burst).await;
        let arrived = Instant::now();
        for (offset, body) in (i64::from(burst) * BURST as i64..).zip(bodies) {
            let record = copied(offset, body);
            batch.push_back(Admission {
                offset,
                key: hasher.key(record.key()),
                charge: 1_352,
                payload: (arrived, record),
            });
        }
        dispatcher.admit(PARTITION, &mut batch);
    }
}

async fn work(dispatcher: Dispatcher<Arrived>, tally: Arc<Mutex<Tally>>) {
    let mut worker = dispatcher.worker(PoolId(0), Locality::Remote);
    while worker.next().await == Next::Turn {
        while let Some(job) = worker.pop() {
            let (arrived, record) = job.payload;
            let amount = amount(&record);
            tokio::time::sleep(CALL).await;
            tally.lock().add(arrived, amount);
            worker.settle(job.seat, Outcome::Complete);
        }
    }
}
