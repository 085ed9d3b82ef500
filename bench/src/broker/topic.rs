//! The topic of one run: created, filled, asked for its ends and commits, deleted.
//! Layer: shell

use std::{process, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::{BrokerError, Shape, client};
use crate::workload::{Skew, Workload};

/// Partitions of the topic.
pub(super) const PARTITIONS: i32 = 12;

/// Bytes of a value.
const VALUE: usize = 1024;

const ANSWER: Duration = Duration::from_secs(30);

/// A fresh topic.
pub(super) struct Topic {
    pub(super) name: String,
    bootstrap: String,
}

impl Topic {
    pub(super) fn create(shape: &Shape) -> Result<Self, BrokerError> {
        let unique = format!("{}-{}", process::id(), crate::clock::unix_seconds());
        let topic = Self {
            name: format!("penstock-bench-{unique}"),
            bootstrap: shape.bootstrap.clone(),
        };
        let new = NewTopic::new(&topic.name, PARTITIONS, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let answers = runtime()?
            .block_on(topic.admin()?.create_topics([&new], &options))
            .map_err(client("create the topic"))?;
        topic.judge(answers)?;
        Ok(topic)
    }

    pub(super) fn delete(&self) -> Result<(), BrokerError> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let answers = runtime()?
            .block_on(self.admin()?.delete_topics(&[&self.name], &options))
            .map_err(client("delete the topic"))?;
        self.judge(answers)
    }

    fn judge(
        &self,
        answers: Vec<Result<String, (String, RDKafkaErrorCode)>>,
    ) -> Result<(), BrokerError> {
        match answers.into_iter().find_map(Result::err) {
            Some((topic, code)) => Err(BrokerError::Topic { topic, code }),
            None => Ok(()),
        }
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BrokerError> {
        self.config().create().map_err(client("connect"))
    }

    /// Where to connect to, and nothing else.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Produces every record before anybody reads.
    pub(super) fn fill(&self, shape: &Shape) -> Result<(), BrokerError> {
        let mut config = self.config();
        config
            .set("linger.ms", "20")
            .set("batch.size", "1000000")
            .set("acks", "1");
        let producer: ThreadedProducer<DefaultProducerContext> =
            config.create().map_err(client("connect"))?;
        let workload = Workload::new(shape.keys as usize, Skew::Uniform, 1);
        let value = [b'x'; VALUE];
        for number in 0..shape.records {
            let rank = workload.rank(i64::try_from(number).expect("offsets fit"));
            let key = rank.to_string();
            let mut record = BaseRecord::to(&self.name).key(&key).payload(&value[..]);
            while let Err((error, back)) = producer.send(record) {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !full {
                    return Err(client("produce")(error));
                }
                std::thread::sleep(Duration::from_millis(5));
                record = back;
            }
        }
        producer.flush(ANSWER).map_err(client("flush"))
    }

    /// Log end of each partition.
    pub(super) fn ends(&self) -> Result<Vec<i64>, BrokerError> {
        let consumer: BaseConsumer = self.config().create().map_err(client("connect"))?;
        let end = |partition| {
            let (_, end) = consumer.fetch_watermarks(&self.name, partition, ANSWER)?;
            Ok(end)
        };
        let ends: Result<Vec<_>, KafkaError> = (0..PARTITIONS).map(end).collect();
        ends.map_err(client("read the ends"))
    }

    /// Partitions whose commit of this group is not the end of the log.
    pub(super) fn uncommitted(&self, group: &str) -> Result<u64, BrokerError> {
        let mut config = self.config();
        config.set("group.id", group);
        let consumer: BaseConsumer = config.create().map_err(client("connect"))?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, PARTITIONS - 1);
        let commits = consumer
            .committed_offsets(asked, ANSWER)
            .map_err(client("read the commits"))?;
        let ends = self.ends()?;
        let elements = commits.elements();
        let wrong = elements.iter().filter(|element| {
            let end = usize::try_from(element.partition())
                .ok()
                .and_then(|p| ends.get(p));
            // An empty partition has no commit or one of its beginning.
            let committed = match element.offset() {
                Offset::Offset(at) => at,
                _ => 0,
            };
            end != Some(&committed)
        });
        Ok(wrong.count() as u64)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, BrokerError> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
