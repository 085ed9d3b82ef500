//! The broker of a demo: librdkafka's mock cluster in this process, or one that is running.
//! Layer: shell

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, Producer},
};

mod group_timeouts;

/// Why no broker or topic could be had.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The client could not be made.
    #[error("failed to start a client for {what}: {source}")]
    Client {
        /// What the client was for.
        what: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// The client came up without its mock cluster.
    #[error("failed to start the embedded broker")]
    NoMockCluster,
    /// A topic was refused.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What the broker said.
        reason: String,
    },
}

/// A broker that answers at an address.
pub struct Broker {
    address: String,
    kind: BrokerKind,
}

enum BrokerKind {
    /// The client owns the mock cluster; dropping it stops the broker.
    Embedded(BaseProducer),
    Running,
}

/// A topic to create.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    /// Its name, fresh for this run.
    pub name: &'a str,
    /// Partitions.
    pub partitions: u32,
}

const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

impl Broker {
    /// Starts a mock cluster of one broker in this process.
    ///
    /// # Errors
    /// When the client library refuses.
    pub fn embedded() -> Result<Self, BrokerError> {
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()
            .map_err(|source| BrokerError::Client {
                what: "the embedded broker",
                source,
            })?;
        group_timeouts::shorten(&client)?;
        let cluster = client
            .client()
            .mock_cluster()
            .ok_or(BrokerError::NoMockCluster)?;
        let address = cluster.bootstrap_servers();
        drop(cluster);
        Ok(Self {
            address,
            kind: BrokerKind::Embedded(client),
        })
    }

    /// Uses a broker that is running.
    #[must_use]
    pub fn running(bootstrap_servers: &str) -> Self {
        Self {
            address: bootstrap_servers.to_owned(),
            kind: BrokerKind::Running,
        }
    }

    /// Bootstrap servers, comma-separated.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the broker forgets records that are not committed, so that production must wait.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self.kind, BrokerKind::Embedded(_))
    }

    /// Creates a topic whose records do not expire.
    ///
    /// # Errors
    /// When the broker refuses, for one because the topic exists.
    pub fn create_topic(&self, topic: Topic<'_>) -> Result<(), BrokerError> {
        match &self.kind {
            BrokerKind::Embedded(client) => create_embedded(client, topic),
            BrokerKind::Running => self.create_running(topic),
        }
    }

    /// Deletes a topic from a running broker; the embedded one ends with the process.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_topic(&self, topic: Topic<'_>) -> Result<(), BrokerError> {
        if self.is_embedded() {
            return Ok(());
        }
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
        let admin = self.admin()?;
        let deleted = futures_wait(admin.delete_topics(&[topic.name], &options), topic)?;
        first_refusal(topic, deleted.map_err(|source| refusal(topic, &source))?)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BrokerError> {
        let what = "topic administration";
        ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .create()
            .map_err(|source| BrokerError::Client { what, source })
    }

    fn create_running(&self, topic: Topic<'_>) -> Result<(), BrokerError> {
        let admin = self.admin()?;
        let new = NewTopic::new(
            topic.name,
            partition_number(topic),
            TopicReplication::Fixed(1),
        )
        .set("retention.ms", "-1")
        .set("max.message.bytes", "1048588");
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
        let created = futures_wait(admin.create_topics([&new], &options), topic)?;
        first_refusal(topic, created.map_err(|source| refusal(topic, &source))?)
    }
}

fn first_refusal(topic: Topic<'_>, results: Vec<TopicResult>) -> Result<(), BrokerError> {
    match results.into_iter().find_map(Result::err) {
        Some((_, code)) => Err(refusal(topic, &code)),
        None => Ok(()),
    }
}

fn create_embedded(client: &BaseProducer, topic: Topic<'_>) -> Result<(), BrokerError> {
    let cluster = client
        .client()
        .mock_cluster()
        .ok_or(BrokerError::NoMockCluster)?;
    cluster
        .create_topic(topic.name, partition_number(topic), 1)
        .map_err(|source| refusal(topic, &source))
}

fn partition_number(topic: Topic<'_>) -> i32 {
    i32::try_from(topic.partitions).unwrap_or(i32::MAX)
}

fn refusal(topic: Topic<'_>, reason: &impl ToString) -> BrokerError {
    BrokerError::Topic {
        topic: topic.name.to_owned(),
        reason: reason.to_string(),
    }
}

/// Waits for one answer of the admin client on a runtime of its own.
fn futures_wait<T>(answer: impl Future<Output = T>, topic: Topic<'_>) -> Result<T, BrokerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime
        .map_err(|source| refusal(topic, &source))?
        .block_on(answer))
}

/// Whether a client error passes by itself and is no reason to end the demo.
#[must_use]
pub fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::WaitingForCoordinator
                | RDKafkaErrorCode::Resolve
        )
    )
}
