//! The producer against the client's own mock brokers: what arrives, what is blamed on whom.
//! Layer: test

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use penstock_processor::{
    publish::{Message, Publisher, provenance_headers},
    record::{Position, TopicId, TopicPartition},
    sinks::{
        Provenance, SinkError,
        kafka::{Compression, Connection, Producer, ProducerSettings},
    },
    source::security::Security,
};
use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers as _,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

type Brokers = MockCluster<'static, DefaultProducerContext>;

const LARGEST: u32 = 100_000;

fn brokers() -> Brokers {
    let brokers = MockCluster::new(1).expect("mock brokers start");
    brokers.create_topic("out", 1, 1).expect("a topic");
    brokers
}

fn connection(brokers: &Brokers) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers.bootstrap_servers())
        .set("log_level", "0");
    config
}

fn producer(brokers: &Brokers) -> Producer {
    let settings = ProducerSettings {
        queue_records: 50,
        queue_bytes: 200_000,
        max_message_bytes: LARGEST,
        delivery_timeout: Duration::from_secs(2),
        linger: Duration::from_millis(1),
        compression: Compression::Lz4,
    };
    let connection = Connection {
        bootstrap: brokers.bootstrap_servers(),
        security: Security::default(),
    };
    Producer::open(connection, settings).expect("a legal configuration")
}

fn provenance(offset: i64) -> Provenance {
    let partition = TopicPartition {
        topic: TopicId(0),
        partition: 3,
    };
    let position = Position { partition, offset };
    Provenance {
        generation: 2,
        topic: Arc::from("in"),
        position,
        floor: 0,
    }
}

/// Key, value and headers of the first `count` records of the topic.
type Read = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, String)>);

fn read(brokers: &Brokers, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = connection(brokers)
        .set("group.id", "test")
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset("out", 0, rdkafka::Offset::Beginning)
        .expect("a legal offset");
    consumer.assign(&partitions).expect("assigns");
    let mut read = Vec::new();
    while read.len() < count {
        let polled = consumer
            .poll(Duration::from_secs(20))
            .expect("a record within 20 s");
        let Ok(record) = polled else { continue };
        let headers = record.headers().map_or_else(Vec::new, |headers| {
            let text = |v: Option<&[u8]>| String::from_utf8_lossy(v.unwrap_or(b"null")).into();
            headers
                .iter()
                .map(|h| (h.key.to_owned(), text(h.value)))
                .collect()
        });
        read.push((
            record.key().map(Into::into),
            record.payload().map(Into::into),
            headers,
        ));
    }
    read
}

#[tokio::test]
async fn records_arrive_with_their_provenance() {
    let brokers = brokers();
    let producer = producer(&brokers);
    // More records and bytes than may be on their way at once.
    let value = vec![b'x'; 10_000];
    let origins: Vec<_> = (0..200).map(provenance).collect();
    let messages: Vec<_> = origins
        .iter()
        .map(|origin| Message {
            topic: "out",
            key: Some(b"k"[..].into()),
            value: Some(value[..].into()),
            headers: provenance_headers(origin),
        })
        .collect();
    let outcomes = join_all(
        messages
            .into_iter()
            .map(|message| producer.produce(message)),
    )
    .await;
    outcomes
        .into_iter()
        .for_each(|outcome| outcome.expect("delivered"));
    assert_eq!(producer.health().in_flight_records, 0);
    assert_eq!(producer.health().in_flight_bytes, 0);
    let read = read(&brokers, 200);
    let mut offsets: Vec<i64> = read
        .iter()
        .map(|r| r.2[3].1.parse().expect("a number"))
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    assert_eq!(
        (&read[0].0, &read[0].1),
        (&Some(b"k".to_vec()), &Some(value.clone()))
    );
    assert_eq!(read[0].2[1], ("penstock-topic".to_owned(), "in".to_owned()));
}

#[tokio::test]
async fn too_large_is_the_records_fault() {
    let brokers = brokers();
    let producer = producer(&brokers);
    let large = vec![b'x'; LARGEST as usize + 1];
    let message = Message {
        topic: "out",
        key: None,
        value: Some(large[..].into()),
        headers: Vec::new(),
    };
    let error = producer.produce(message).await.expect_err("too large");
    assert!(matches!(error, SinkError::Record { .. }), "{error}");
}

#[tokio::test]
async fn brokers_that_refuse_are_unavailable_and_come_back() {
    let brokers = brokers();
    let producer = producer(&brokers);
    let message = || Message {
        topic: "out",
        key: None,
        value: Some(b"v"[..].into()),
        headers: Vec::new(),
    };
    producer.produce(message()).await.expect("up at first");
    brokers.broker_down(1).expect("stops");
    let error = producer.produce(message()).await.expect_err("down");
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    brokers.broker_up(1).expect("starts");
    // The client needs a moment to connect again; each try waits as long as a delivery may take.
    let back = async { while producer.produce(message()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .expect("delivers again");
}

#[tokio::test]
async fn a_fatal_error_gets_a_new_producer() {
    let brokers = brokers();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    brokers.request_errors(RDKafkaApiKey::InitProducerId, &[denied]);
    let producer = producer(&brokers);
    let message = || Message {
        topic: "out",
        key: None,
        value: Some(b"v"[..].into()),
        headers: Vec::new(),
    };
    let error = producer
        .produce(message())
        .await
        .expect_err("no producer id");
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    producer
        .produce(message())
        .await
        .expect("a new producer asks again");
}
