//! Production beside a consumer that commits: the embedded broker must never forget a record.
//! Layer: test

use std::{sync::Arc, thread};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use super::*;
use crate::demo::{
    broker::{Broker, Topic},
    commits::{self, Watched},
    pacing::Limits,
    storefront::Workload,
};

const GROUP: &str = "fake-processor";
const TOPIC: &str = "events";
const PARTITIONS: u32 = 2;

/// Reads both partitions from the beginning, checks that no offset is missing, and commits now and
/// then, until it has read `records`. Returns the values' bytes by partition.
fn consume(bootstrap_servers: &str, records: usize) -> Vec<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .create()
        .unwrap();
    let mut positions = TopicPartitionList::new();
    for partition in [0, 1] {
        positions
            .add_partition_offset(TOPIC, partition, Offset::Offset(0))
            .unwrap();
    }
    consumer.assign(&positions).unwrap();
    let mut next = [0_i64; PARTITIONS as usize];
    let mut bytes = vec![0; PARTITIONS as usize];
    for count in 1..=records {
        let message = consumer
            .poll(Duration::from_secs(20))
            .expect("a record within 20 s")
            .unwrap();
        let partition = usize::try_from(message.partition()).unwrap();
        assert_eq!(message.offset(), next[partition], "an offset was forgotten");
        next[partition] += 1;
        bytes[partition] += message.payload_len() as u64;
        if count % 500 == 0 || count == records {
            let mut done = TopicPartitionList::new();
            for (partition, offset) in (0..).zip(next) {
                done.add_partition_offset(TOPIC, partition, Offset::Offset(offset))
                    .unwrap();
            }
            consumer.commit(&done, CommitMode::Sync).unwrap();
        }
    }
    bytes
}

#[test]
fn the_embedded_broker_keeps_what_is_not_committed() {
    let broker = Broker::embedded().unwrap();
    broker
        .create_topic(Topic {
            name: TOPIC,
            partitions: PARTITIONS,
        })
        .unwrap();
    let start_ms = 1_795_000_000_000;
    let workload = Workload {
        seed: 5,
        records: 15_000,
        keys: 100,
        partitions: PARTITIONS,
        start_ms,
    };
    let shared = Arc::new(Shared::new(PARTITIONS));
    let production = Production {
        bootstrap_servers: broker.address().to_owned(),
        topic: TOPIC.to_owned(),
        storefront: Arc::new(Storefront::new(workload)),
        pacing: Some(Pacing::new(PARTITIONS, Limits::EMBEDDED)),
    };
    let watched = Watched {
        bootstrap_servers: broker.address(),
        group: GROUP,
        topic: TOPIC,
        partitions: PARTITIONS,
    };
    let (log, bytes) = thread::scope(|scope| {
        let producing = scope.spawn(|| produce(production, &shared).unwrap());
        scope.spawn(|| commits::watch(watched, &shared).unwrap());
        let bytes = consume(broker.address(), 15_000);
        let log = producing.join().unwrap();
        shared.stop();
        (log, bytes)
    });
    assert_eq!(shared.failure(), None);
    assert_eq!((log.len(), log.ends()), (15_000, shared.acknowledged()));
    // more than the broker keeps went through each partition, so the test could have failed
    assert!(bytes.iter().all(|bytes| *bytes > 6 << 20), "{bytes:?}");
}
