//! librdkafka's mock cluster in the test's process; it keeps 5 MiB of a partition.
//! Layer: test

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use rdkafka_sys as sys;

use crate::process::PATIENCE;

pub(crate) const TOPIC: &str = "events";
pub(crate) const DEAD: &str = "events.dead";
pub(crate) const OUT: &str = "out";

/// Time of every record, milliseconds.
const TIMESTAMP: i64 = 1_700_000_000_000;

/// A running cluster; the client owns it.
pub(crate) struct Broker {
    producer: BaseProducer,
    pub(crate) bootstrap: String,
}

/// A record to send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: usize,
}

/// A record that was read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Sent {
    pub(crate) fn new(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            value: Some(value.into()),
            headers: 0,
        }
    }
}

impl Broker {
    /// A cluster with all three topics.
    pub(crate) fn start(partitions: i32) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .set("message.max.bytes", "4000000")
            .set("linger.ms", "1")
            .create()
            .expect("a client with a cluster");
        shorten_sessions(&producer);
        let cluster = producer.client().mock_cluster().expect("it was asked for");
        let bootstrap = cluster.bootstrap_servers();
        for (topic, partitions) in [(TOPIC, partitions), (DEAD, 1), (OUT, 1)] {
            cluster
                .create_topic(topic, partitions, 1)
                .expect("a new topic");
        }
        drop(cluster);
        Self {
            producer,
            bootstrap,
        }
    }

    /// Appends to one partition and waits for the broker.
    pub(crate) fn send(&self, partition: i32, records: &[Sent]) {
        for record in records {
            let headers = (0..record.headers).fold(OwnedHeaders::new(), |headers, number| {
                headers.insert(Header {
                    key: &format!("header-{number}"),
                    value: Some("value"),
                })
            });
            let mut base = BaseRecord::<[u8], [u8]>::to(TOPIC)
                .partition(partition)
                .timestamp(TIMESTAMP);
            if record.headers > 0 {
                base = base.headers(headers);
            }
            base.key = record.key.as_deref();
            base.payload = record.value.as_deref();
            self.producer
                .send(base)
                .map_err(|(error, _)| error)
                .expect("room in the queue");
        }
        self.producer
            .flush(PATIENCE)
            .expect("everything is produced");
    }

    /// The first `count` records of partition 0 of a topic.
    pub(crate) fn read(&self, topic: &str, count: usize) -> Vec<Read> {
        let consumer = self.consumer("reader");
        let mut partitions = TopicPartitionList::new();
        partitions
            .add_partition_offset(topic, 0, Offset::Beginning)
            .expect("a legal offset");
        consumer.assign(&partitions).expect("a legal assignment");
        let (mut read, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while read.len() < count {
            assert!(
                Instant::now() < deadline,
                "{topic} has {} records",
                read.len()
            );
            let polled = consumer.poll(Duration::from_millis(100));
            let Some(message) = polled.and_then(Result::ok) else {
                continue;
            };
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                let text = |value: Option<&[u8]>| {
                    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
                };
                let headers = headers
                    .iter()
                    .map(|header| (header.key.to_owned(), text(header.value)));
                headers.collect()
            });
            read.push(Read {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers,
            });
        }
        read
    }

    /// Records of the topic, by its end.
    pub(crate) fn end(&self, topic: &str) -> i64 {
        let watermarks = self.consumer("reader").fetch_watermarks(topic, 0, PATIENCE);
        watermarks.expect("the broker answers").1
    }

    /// The group's committed offset.
    pub(crate) fn committed(&self, group: &str, partition: i32) -> Option<i64> {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(TOPIC, partition);
        let committed = self.consumer(group).committed_offsets(partitions, PATIENCE);
        let committed = committed.expect("the broker answers");
        committed.elements()[0]
            .offset()
            .to_raw()
            .filter(|offset| *offset >= 0)
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("fetch.message.max.bytes", "4000000");
        config.create().expect("a consumer")
    }
}

/// A killed member has left after 4 s instead of 30 s.
#[expect(unsafe_code, reason = "the safe interface has no call for it")]
fn shorten_sessions(client: &BaseProducer) {
    // SAFETY: the pointer belongs to `client`, which outlives this function.
    let cluster = unsafe { sys::rd_kafka_handle_mock_cluster(client.client().native_ptr()) };
    assert!(!cluster.is_null(), "the client was made with a cluster");
    // SAFETY: the cluster is not null and lives as long as `client`; both calls take its lock.
    unsafe {
        sys::rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, 4_000);
        sys::rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, 500);
    }
}
