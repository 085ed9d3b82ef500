//! Counters equal a naive reference, whatever is delivered again, forgotten, expired or lost.
//! Layer: test

use std::{collections::BTreeMap, sync::Arc};

use penstock_processor::sinks::{Reply, Sink, SinkError, redis::Redis};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    effects::{BATCH, at, count, open},
    server::{Server, far},
    target::{Documents, Target},
};

const PARTITIONS: usize = 3;
const STEPS: u32 = 1_500;

/// A record that may be delivered again.
#[derive(Clone)]
struct Sent {
    id: String,
    amounts: Vec<(&'static str, i64)>,
}

struct World {
    server: Server,
    target: Arc<Target>,
    /// Two processes of one fleet.
    sinks: Vec<Redis>,
    /// Records of each partition; those below the floor are committed.
    logs: [Vec<Sent>; PARTITIONS],
    floors: [usize; PARTITIONS],
    /// Floors when the server last lost everything: nobody who is delivered anything knows less.
    least: [i64; PARTITIONS],
    reference: Documents,
    random: StdRng,
}

impl World {
    async fn deliver(&mut self, partition: usize, offset: usize) -> Reply {
        let sent = self.logs[partition][offset].clone();
        let floor = i64::try_from(self.floors[partition]).expect("small");
        // A member that does not know the last commit yet passes an older one.
        let floor = self.random.random_range(self.least[partition]..=floor);
        let (partition, offset) = (partition as i32, offset as i64);
        let effect = count(at(partition, offset, floor), &sent.id, &sent.amounts);
        let sink = self.random.random_range(0..self.sinks.len());
        let outcome = self.sinks[sink].submit(effect, far()).await;
        outcome.expect("the server is up")
    }

    async fn new_record(&mut self) {
        let partition = self.random.random_range(0..PARTITIONS);
        let id = format!("p:{}", self.random.random_range(0..40));
        let mut amounts = vec![("views", 1)];
        if self.random.random_bool(0.3) {
            amounts.push(("revenue.cents", self.random.random_range(-50..5_000)));
        }
        let document = self.reference.entry(format!("products/{id}")).or_default();
        for (field, amount) in &amounts {
            *document.entry((*field).to_owned()).or_default() += amount;
        }
        self.logs[partition].push(Sent { id, amounts });
        let offset = self.logs[partition].len() - 1;
        assert_eq!(self.deliver(partition, offset).await, Reply::Applied);
    }

    /// As after a crash, or by a member that does not know that it lost the partition.
    async fn redeliver(&mut self) {
        let partition = self.random.random_range(0..PARTITIONS);
        if self.logs[partition].is_empty() {
            return;
        }
        let offset = self.random.random_range(0..self.logs[partition].len());
        assert_eq!(self.deliver(partition, offset).await, Reply::Redelivered);
    }

    fn commit(&mut self) {
        let partition = self.random.random_range(0..PARTITIONS);
        let (floor, end) = (self.floors[partition], self.logs[partition].len());
        self.floors[partition] = self.random.random_range(floor..=end);
    }

    async fn flush(&mut self) {
        let sink = self.random.random_range(0..self.sinks.len());
        self.sinks[sink].flush(far()).await.expect("all is up");
    }

    /// Everything is flushed and committed, so that nothing acknowledged can be lost.
    async fn lose_everything(&mut self) {
        self.flush().await;
        self.floors = self.logs.each_ref().map(Vec::len);
        self.least = self
            .floors
            .map(|floor| i64::try_from(floor).expect("small"));
        self.server.run("FLUSHALL", &[]).await;
    }

    fn restart(&mut self) {
        let sink = self.random.random_range(0..self.sinks.len());
        self.sinks[sink] = open(&self.server, Arc::clone(&self.target) as _);
    }

    async fn step(&mut self) {
        match self.random.random_range(0..1000) {
            0..500 => self.new_record().await,
            500..800 => self.redeliver().await,
            800..900 => self.commit(),
            900..950 => self.flush().await,
            950..970 => drop(self.server.expire_counters().await),
            970..985 => self.server.run("SCRIPT", &["FLUSH"]).await,
            985..995 => self.restart(),
            _ => self.lose_everything().await,
        }
    }
}

async fn run(seed: u64) -> Option<()> {
    let server = Server::get().await?;
    let target = Target::new();
    let sinks = (0..2).map(|_| open(&server, Arc::clone(&target) as _));
    let mut world = World {
        sinks: sinks.collect(),
        server,
        target,
        logs: [const { Vec::new() }; PARTITIONS],
        floors: [0; PARTITIONS],
        least: [-1; PARTITIONS],
        reference: BTreeMap::new(),
        random: StdRng::seed_from_u64(seed),
    };
    for _ in 0..STEPS {
        world.step().await;
    }
    world.flush().await;
    assert_eq!(world.target.documents(), world.reference, "seed {seed}");
    let largest = world
        .target
        .largest_batch
        .load(std::sync::atomic::Ordering::SeqCst);
    assert!(largest <= BATCH, "{largest} counters in one batch");
    Some(())
}

#[tokio::test]
async fn counters_equal_the_reference_whatever_happens() {
    let first = rand::random::<u64>();
    for seed in (0..4).map(|turn| first.wrapping_add(turn)) {
        println!("seed {seed}");
        run(seed).await;
    }
}

/// Many records at once, flushed meanwhile: marks are taken off only where nothing changed.
#[tokio::test]
async fn a_flush_beside_records_loses_none() {
    let Some(server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = Arc::new(open(&server, Arc::clone(&target) as _));
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 0..8 {
        let sink = Arc::clone(&sink);
        tasks.spawn(async move {
            for offset in 0..500 {
                let effect = count(
                    at(partition, offset, 0),
                    &format!("p{}", offset % 25),
                    &[("views", 1)],
                );
                sink.submit(effect, far()).await.expect("the server is up");
            }
        });
    }
    while !tasks.is_empty() {
        sink.flush(far()).await.expect("all is up");
        while tasks.try_join_next().is_some_and(|task| task.is_ok()) {}
    }
    sink.flush(far()).await.expect("all is up");
    let documents = target.documents();
    assert_eq!(documents.len(), 25);
    assert!(
        documents.values().all(|fields| fields["views"] == 160),
        "{documents:?}"
    );
}

#[tokio::test]
async fn a_counter_that_would_overflow_counts_nothing_of_its_record() {
    let Some(server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    let all = [("views", 1), ("cents", i64::MAX)];
    let first = sink.submit(count(at(0, 0, 0), "p", &all), far()).await;
    assert_eq!(first.expect("counted"), Reply::Applied);
    let second = sink.submit(count(at(0, 1, 0), "p", &all), far()).await;
    assert!(matches!(second, Err(SinkError::Record { reason }) if reason.contains("cents")));
    let third = sink
        .submit(count(at(0, 2, 0), "p", &[("views", i64::MIN)]), far())
        .await;
    assert!(matches!(third, Err(SinkError::Record { .. })));
    sink.flush(far()).await.expect("all is up");
    let expected = [("views".to_owned(), 1), ("cents".to_owned(), i64::MAX)];
    assert_eq!(target.documents()["products/p"], BTreeMap::from(expected));
}

#[tokio::test]
async fn an_older_generation_counts_no_more_and_is_not_done() {
    let Some(server) = Server::get().await else {
        return;
    };
    let target = Target::new();
    let sink = open(&server, Arc::clone(&target) as _);
    let mut replay = count(at(0, 3, 0), "p", &[("views", 1)]);
    let old = replay.clone();
    replay.provenance.generation = 1;
    assert_eq!(
        sink.submit(old.clone(), far()).await.expect("counted"),
        Reply::Applied
    );
    assert_eq!(
        sink.submit(replay.clone(), far()).await.expect("counted"),
        Reply::Applied
    );
    assert_eq!(
        sink.submit(replay, far()).await.expect("known"),
        Reply::Redelivered
    );
    let fenced = sink.submit(old, far()).await;
    assert!(
        matches!(fenced, Err(SinkError::Unavailable { reason }) if reason.contains("generation 0"))
    );
}
