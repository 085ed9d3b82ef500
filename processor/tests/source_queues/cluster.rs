//! A cluster to test against: librdkafka's mock, or the broker that `PENSTOCK_TEST_BROKER` names.
//! Layer: test

use std::{
    env,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};

/// How long anything may take before it counts as failed. Kafka's KIP-848 heartbeat is 5 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the tests run.
pub(crate) struct Cluster {
    pub(crate) bootstrap: String,
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        match env::var("PENSTOCK_TEST_BROKER") {
            Ok(bootstrap) => Self {
                bootstrap,
                mock: None,
            },
            Err(_) => Self::mock(),
        }
    }

    pub(crate) fn mock() -> Self {
        let mock = MockCluster::new(1).expect("a mock cluster");
        Self {
            bootstrap: mock.bootstrap_servers(),
            mock: Some(mock),
        }
    }

    pub(crate) fn as_mock(&self) -> Option<&MockCluster<'static, DefaultProducerContext>> {
        self.mock.as_ref()
    }

    /// A new topic, also the name for its group.
    pub(crate) fn topic(&self, partitions: i32) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_millis();
        let name = format!("source-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        match &self.mock {
            Some(mock) => mock.create_topic(&name, partitions, 1).expect("a topic"),
            None => self.create(&name, partitions),
        }
        name
    }

    fn create(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let asked = admin.create_topics([&topic], &AdminOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let results = runtime
            .expect("a runtime")
            .block_on(asked)
            .expect("an answer");
        results
            .into_iter()
            .next()
            .expect("one result")
            .expect("the topic is created");
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Appends `count` records of `size` bytes to each partition and waits for the broker.
    pub(crate) fn fill(&self, topic: &str, partitions: i32, count: usize, size: usize) {
        let producer: BaseProducer = self
            .config()
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "1000000")
            .create()
            .expect("a producer");
        let value = vec![b'v'; size];
        for _ in 0..count {
            for partition in 0..partitions {
                let mut record = BaseRecord::<(), [u8]>::to(topic)
                    .payload(&value[..])
                    .partition(partition);
                let deadline = Instant::now() + PATIENCE;
                while let Err((_, back)) = producer.send(record) {
                    assert!(Instant::now() < deadline, "the producer's queue stays full");
                    producer.poll(Duration::from_millis(10));
                    record = back;
                }
            }
        }
        producer.flush(PATIENCE).expect("everything is produced");
    }
}
