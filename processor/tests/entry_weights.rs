//! What one entry really costs, against the constants that the memory law charges for it.
//! Layer: test
//!
//! An upgrade of a dependency that makes its entries heavier fails here, before it fails in a pod.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use penstock_processor::{
    admission::{Admissions, DispatcherIntake},
    dispatch::{
        Limits,
        pool::{Budgets, Dispatcher, Lanes},
    },
    keys::{self, KeyRule},
    record::{Parts, Position, TopicId, TopicPartition},
    source::intake::{Assigned, Body, Epoch, Intake, Offered},
    work::Work,
};
use penstock_sizing::record_charge;
use rdkafka::{
    ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, Producer},
};
use tikv_jemalloc_ctl::{epoch, stats};

/// What the processor runs with.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The heap is one for all tests of this file.
static ALONE: Mutex<()> = Mutex::new(());

const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes on the whole heap now, C libraries included.
fn heap() -> usize {
    epoch::advance().expect("jemalloc is linked");
    stats::allocated::read().expect("jemalloc is linked")
}

/// Counts what waits in the queue of partition 0, from the client's own statistics.
#[derive(Default)]
struct Queued(Mutex<i64>);

impl ClientContext for Queued {
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics
            .topics
            .values()
            .flat_map(|t| t.partitions.get(&0));
        *self.0.lock() = partitions.map(|p| p.fetchq_cnt).sum();
    }
}

impl ConsumerContext for Queued {}

fn produce(bootstrap: &str, topic: &str, records: i64, value: &[u8]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("a producer");
    for sequence in 0..records {
        let key = sequence.to_be_bytes();
        let record = BaseRecord::to(topic).partition(0).key(&key).payload(value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("room in the queue");
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("the mock takes everything");
}

/// The law charges 384 bytes beside the value: a queue element and 64 for key, framing, headers.
#[test]
fn a_prefetched_record_costs_what_the_law_charges() {
    const RECORDS: i64 = 20_000;
    const VALUE: usize = 100;
    let _alone = ALONE.lock();
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("weights", 1, 1).expect("a topic");
    let bootstrap = cluster.bootstrap_servers();
    produce(&bootstrap, "weights", RECORDS, &[b'v'; VALUE]);
    let consumer: BaseConsumer<Queued> = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("group.id", "weights")
        .set("statistics.interval.ms", "20")
        .set("queued.max.messages.kbytes", "100000")
        .set("fetch.max.bytes", "1048576")
        .create_with_context(Queued::default())
        .expect("a consumer");
    let consumer = Arc::new(consumer);
    consumer
        .fetch_metadata(Some("weights"), PATIENCE)
        .expect("metadata");
    let before = heap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("weights", 0, Offset::Beginning)
        .expect("an offset");
    // Its records wait apart, so that serving the main queue takes none of them.
    let _queue = consumer.split_partition_queue("weights", 0);
    consumer.assign(&list).expect("an assignment");
    let deadline = Instant::now() + PATIENCE;
    while *consumer.context().0.lock() < RECORDS {
        assert!(
            Instant::now() < deadline,
            "{} queued",
            consumer.context().0.lock()
        );
        let stray = consumer.poll(Duration::from_millis(20));
        assert!(stray.is_none(), "a record on the main queue");
    }
    let beside = (heap() - before) / usize::try_from(RECORDS).expect("positive") - VALUE;
    println!("{beside} bytes beside the value");
    assert!(
        (300..=384).contains(&beside),
        "{beside} bytes beside a value of {VALUE}"
    );
}

fn dispatcher() -> Dispatcher<Work> {
    let budgets = Budgets {
        pod_bytes: u64::MAX,
        partition: Limits {
            records: u32::MAX,
            bytes: u64::MAX,
            window: 65_536,
            running: 4,
            detached_running: 4,
        },
    };
    Dispatcher::new(Lanes::isolated(0), budgets)
}

/// `record_charge` covers node, ring, key index and the copied record, every key a new one.
#[test]
fn an_admitted_record_costs_what_the_law_charges() {
    const RECORDS: i64 = 16_384;
    let _alone = ALONE.lock();
    for length in [2, 100, 1024, 20_000] {
        let (held, charged) = admitted(RECORDS, length);
        println!("value of {length}: {held} bytes held, {charged} charged");
        assert!(
            held <= charged,
            "value of {length}: {held} bytes held, {charged} charged"
        );
    }
}

/// Heap bytes and charges of so many admitted records.
fn admitted(records: i64, length: usize) -> (u64, u64) {
    const STOREFRONT: &str = include_str!("../../crds/examples/storefront.yaml");
    let pipeline = penstock_crds::parse(STOREFRONT)
        .expect("a valid object")
        .pipeline;
    let dispatcher = dispatcher();
    let mut intake = DispatcherIntake::new(Admissions {
        dispatcher: dispatcher.clone(),
        topics: vec![Arc::from("t")],
        generation: 0,
        key_rule: KeyRule::of(&pipeline),
        hasher: keys::hasher(&pipeline),
        largest: 1 << 20,
    });
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 0,
    };
    intake.assign(&[Assigned {
        partition,
        epoch: Epoch(1),
        committed: None,
    }]);
    let value = vec![b'v'; length];
    let before = heap();
    for offset in 0..records {
        let key = offset.to_be_bytes();
        let parts = Parts {
            key: Some(&key),
            value: Some(&value),
            headers: &[],
            timestamp_ms: 0,
        };
        let offered = Offered {
            position: Position { partition, offset },
            epoch: Epoch(1),
            body: Body::Record(parts),
        };
        assert_eq!(intake.admit(&[offered]).taken, 1);
    }
    let held = heap().saturating_sub(before) as u64;
    let charged = dispatcher.pod().bytes;
    assert!(charged >= records.unsigned_abs() * record_charge(length as u64));
    (held, charged)
}
