//! `penstock replay-dead-letters` on librdkafka's mock cluster.
//! Layer: test
//!
//! The mock keeps no positions of a transaction: that a letter is replayed once, however often the
//! command is killed, is shown on a real broker by `cargo e2e broker --scenario replay`.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PIPELINE: &str = "
apiVersion: penstock.dev/v1alpha1
kind: EventPipeline
metadata: {name: p}
spec:
  source:
    bootstrapServers: [localhost:1]
    topics: [{name: events}]
    consumerGroup: g
  resources: {limits: {memory: 256Mi}}
  stages:
    - name: out
      produce: {topic: out}
  failure: {onRecordError: DeadLetterRecord, deadLetterTopic: dead}
";

struct Place {
    cluster: MockCluster<'static, DefaultProducerContext>,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        for (topic, partitions) in [("events", 3), ("dead", 2)] {
            cluster.create_topic(topic, partitions, 1).expect("a topic");
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("p.yaml"), PIPELINE).expect("a file");
        Self { cluster, folder }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        config
    }

    fn bury(&self, letters: &[(&str, Vec<(&str, &str)>)]) {
        let producer: BaseProducer = self.config().create().expect("a producer");
        for (key, headers) in letters {
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| {
                    all.insert(Header {
                        key,
                        value: Some(*value),
                    })
                });
            let record = BaseRecord::to("dead")
                .key(*key)
                .payload("{}")
                .headers(headers);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("room");
        }
        producer.flush(PATIENCE).expect("the letters are written");
    }

    fn replay(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_penstock"))
            .arg("replay-dead-letters")
            .args([
                "-f",
                "p.yaml",
                "--bootstrap-servers",
                &self.cluster.bootstrap_servers(),
            ])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("the command can be started")
    }

    /// Everything in the source topic.
    fn events(&self) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "reader")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..3 {
            let add = all.add_partition_offset("events", partition, Offset::Beginning);
            add.expect("a partition");
        }
        consumer.assign(&all).expect("assigned");
        let (mut read, mut ends) = (Vec::new(), 0);
        let deadline = Instant::now() + PATIENCE;
        while ends < 3 {
            assert!(Instant::now() < deadline, "the topic can be read");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => read.push(message.detach()),
                Some(Err(_)) => ends += 1,
                None => {}
            }
        }
        read
    }
}

fn letter(offset: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("own", "1"),
        ("penstock-dead-topic", "events"),
        ("penstock-dead-partition", "2"),
        ("penstock-dead-offset", offset),
        ("penstock-dead-generation", "0"),
        ("penstock-dead-timestamp", "1700000000000"),
        ("penstock-dead-stage", "out"),
    ]
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn each_letter_is_replayed_to_where_it_came_from() {
    let place = Place::new();
    let foreign = vec![("own", "1")];
    place.bury(&[("a", letter("7")), ("b", letter("8")), ("c", foreign)]);
    let dry = place.replay(&["--dry-run"]);
    assert_eq!(said(&dry), "would replay 2, skipped 1", "{dry:?}");
    let words = String::from_utf8_lossy(&dry.stderr);
    assert!(
        words.contains("is no dead letter of a processor"),
        "{words}"
    );
    assert!(place.events().is_empty());
    let first = place.replay(&[]);
    assert_eq!(said(&first), "replayed 2, skipped 1", "{first:?}");
    let mut events = place.events();
    events.sort_by_key(|event| event.key().map(<[u8]>::to_vec));
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.key(),
                event.partition(),
                event.timestamp().to_millis(),
            )
        })
        .collect();
    let at = Some(1_700_000_000_000);
    assert_eq!(seen, [(Some(&b"a"[..]), 2, at), (Some(&b"b"[..]), 2, at)]);
    let headers = events[1].headers().expect("headers");
    let text = |name: &str| {
        let mut found = headers.iter().filter(|own| own.key == name);
        found.next().and_then(|own| own.value).map(<[u8]>::to_vec)
    };
    assert_eq!(text("own"), Some(b"1".to_vec()));
    assert_eq!(text("penstock-origin-offset"), Some(b"8".to_vec()));
    assert_eq!(text("penstock-dead-offset"), None);
}

#[test]
fn a_pipeline_without_a_dead_letter_topic_is_refused() {
    let place = Place::new();
    let without = PIPELINE
        .lines()
        .filter(|line| !line.contains("deadLetterTopic"));
    let text = without.collect::<Vec<_>>().join("\n");
    std::fs::write(place.folder.path().join("p.yaml"), text).expect("a file");
    let output = place.replay(&[]);
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("spec.failure.deadLetterTopic is absent"),
        "{words}"
    );
}
