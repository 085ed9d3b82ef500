//! Topics and offsets as the broker holds them: create, high watermarks, a group's commits.
//! Layer: shell

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use crate::{
    interrupt::Interrupted,
    names::Names,
    wait::{self, Waited},
};

const ANSWER: Duration = Duration::from_secs(10);
/// How long a partition may be without a leader, and the pause between two questions.
const LEADER: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Why the broker could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("{what}")]
    Client {
        what: &'static str,
        source: KafkaError,
    },
    #[error("create topic {topic}: {code}")]
    Create {
        topic: String,
        code: RDKafkaErrorCode,
    },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("runtime for the admin client")]
    Runtime(#[from] std::io::Error),
}

/// Creates the three topics.
pub(crate) fn create(bootstrap: &str, names: &Names, partitions: u32) -> Result<(), TopicError> {
    let counts = [
        (names.input.as_str(), partitions),
        (names.output.as_str(), 1),
        (names.dead.as_str(), 1),
    ];
    create_all(bootstrap, &counts, &[])
}

/// Creates topics of so many partitions, with settings of their own.
pub(crate) fn create_all(
    bootstrap: &str,
    counts: &[(&str, u32)],
    settings: &[(&str, &str)],
) -> Result<(), TopicError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(client("admin"))?;
    let topic = |&(name, partitions)| {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        settings
            .iter()
            .fold(topic, |topic, (name, value)| topic.set(name, value))
    };
    let topics: Vec<_> = counts.iter().map(topic).collect();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime
        .block_on(admin.create_topics(&topics, &options))
        .map_err(client("create topics"))?;
    let failed = results.into_iter().find_map(Result::err);
    failed.map_or(Ok(()), |(topic, code)| {
        Err(TopicError::Create { topic, code })
    })
}

/// Looks at offsets; joins no group.
pub(crate) struct Watch {
    consumer: BaseConsumer,
    names: Names,
    partitions: u32,
}

impl Watch {
    /// A client of its own.
    pub(crate) fn new(bootstrap: &str, names: &Names, partitions: u32) -> Result<Self, TopicError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("group.id", &names.group);
        let consumer = config.create().map_err(client("watch"))?;
        Ok(Self {
            consumer,
            names: names.clone(),
            partitions,
        })
    }

    /// Records in the output topic.
    pub(crate) fn produced(&self) -> Result<u64, TopicError> {
        self.high_watermark(&self.names.output, 0)
    }

    /// Records in the dead-letter topic.
    pub(crate) fn dead_letters(&self) -> Result<u64, TopicError> {
        self.high_watermark(&self.names.dead, 0)
    }

    /// Records in each partition of the input topic.
    pub(crate) fn input(&self) -> Result<Vec<u64>, TopicError> {
        (0..self.partitions)
            .map(|p| self.high_watermark(&self.names.input, p))
            .collect()
    }

    /// The group's commit of each partition; 0 where there is none.
    pub(crate) fn committed(&self) -> Result<Vec<u64>, TopicError> {
        let mut asked = TopicPartitionList::new();
        let last = i32::try_from(self.partitions).unwrap_or(i32::MAX) - 1;
        asked.add_partition_range(&self.names.input, 0, last);
        let ask = || self.consumer.committed_offsets(asked.clone(), ANSWER);
        // The first question for a group may come before its coordinator is known.
        let told = wait::until(LEADER, PAUSE, || -> Result<_, TopicError> {
            Ok(ask().ok())
        })?;
        let answer = match told {
            Waited::Met(answer) => answer,
            Waited::TimedOut => ask().map_err(client("committed offsets"))?,
        };
        let mut commits = vec![0; self.partitions as usize];
        for element in answer.elements() {
            let slot = usize::try_from(element.partition())
                .ok()
                .and_then(|p| commits.get_mut(p));
            if let (Some(slot), Offset::Offset(offset)) = (slot, element.offset()) {
                *slot = u64::try_from(offset).unwrap_or(0);
            }
        }
        Ok(commits)
    }

    /// Asks again for a while: a topic that was just created, or whose broker was just let go on,
    /// has no leader for a moment.
    fn high_watermark(&self, topic: &str, partition: u32) -> Result<u64, TopicError> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let marks = || self.consumer.fetch_watermarks(topic, partition, ANSWER);
        // What the client has cached of a new topic may be that there is none.
        let ask = || {
            marks().or_else(|_| {
                self.consumer.fetch_metadata(Some(topic), ANSWER)?;
                marks()
            })
        };
        let mark = |(_, high)| u64::try_from(high).unwrap_or(0);
        let led = wait::until(LEADER, PAUSE, || -> Result<_, TopicError> {
            Ok(ask().ok())
        })?;
        match led {
            Waited::Met(marks) => Ok(mark(marks)),
            Waited::TimedOut => ask().map(mark).map_err(client("high watermark")),
        }
    }
}

/// Adds what was being done to a client's error.
pub(crate) fn client(what: &'static str) -> impl FnOnce(KafkaError) -> TopicError {
    move |source| TopicError::Client { what, source }
}
