//! One consumer with its record queue: built, given partitions, closed.
//! Layer: shell

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    events::{Event, Events, Named, list, report},
    intake::Watermark,
    queues::{Batch, QueueError, RecordQueue, cached_end},
    security::{Identity, SecretError},
    settings::{SourceSettings, Start},
};
use crate::record::{TopicId, TopicPartition};

/// A request that blocks the source thread may take this long.
const REQUEST: Duration = Duration::from_secs(2);

/// Why there is no consumer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A Secret is not as the object says.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client refuses its settings, such as a certificate that is none.
    #[error("the kafka client refuses its settings")]
    Create(#[source] KafkaError),
    /// The client refuses the topics.
    #[error("cannot subscribe to topics {topics:?}")]
    Subscribe {
        /// Their names.
        topics: Vec<String>,
        /// What the client says.
        source: KafkaError,
    },
}

/// How a close went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The group was left and the client is gone.
    Clean,
    /// The client hangs and is left behind; the process should end.
    Abandoned,
}

/// Committed offsets, and the list to assign.
pub(super) struct Starts {
    /// The group's committed offsets; no entry where there is none.
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    /// Offsets where to begin, if they are known.
    pub(super) begin: BTreeMap<TopicPartition, i64>,
    list: TopicPartitionList,
}

/// The consumer and its queue. Fields are dropped in this order.
pub(super) struct Client {
    queue: RecordQueue<Events>,
    topics: Vec<String>,
    start: Start,
    identity: Identity,
}

impl Client {
    pub(super) fn connect(settings: &SourceSettings) -> Result<Self, ClientError> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in settings.properties() {
            config.set(name, value);
        }
        let identity = settings.security.read()?;
        for (name, value) in identity.properties() {
            config.set(name, value);
        }
        let consumer: BaseConsumer<Events> = config
            .create_with_context(Events::default())
            .map_err(ClientError::Create)?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|source| ClientError::Subscribe {
                topics: settings.topics.clone(),
                source,
            })?;
        let queue = RecordQueue::new(Arc::new(consumer));
        Ok(Self {
            queue,
            topics: settings.topics.clone(),
            start: settings.start,
            identity,
        })
    }

    /// What it proves who it is with.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    fn consumer(&self) -> &BaseConsumer<Events> {
        self.queue.consumer()
    }

    pub(super) fn batch(&self) -> Batch<Events> {
        self.queue.batch()
    }

    /// Serves one event of the main queue without waiting. A record there is a fault: its
    /// partition and offset come back.
    pub(super) fn serve(&self) -> (Vec<Event>, Option<(TopicPartition, i64)>) {
        use rdkafka::Message;
        let stray = match self.consumer().poll(Duration::ZERO) {
            Some(Ok(message)) => self
                .identify(message.topic().as_bytes(), message.partition())
                .map(|partition| (partition, message.offset())),
            // Errors were recorded by the context.
            Some(Err(_)) | None => None,
        };
        (self.consumer().context().take(), stray)
    }

    /// The client will not work again.
    pub(super) fn is_fatal(&self) -> bool {
        self.consumer().client().fatal_error().is_some()
    }

    pub(super) fn identify(&self, topic: &[u8], partition: i32) -> Option<TopicPartition> {
        let index = self
            .topics
            .iter()
            .position(|name| name.as_bytes() == topic)?;
        let topic = TopicId(u16::try_from(index).ok()?);
        Some(TopicPartition { topic, partition })
    }

    pub(super) fn identify_all(&self, named: &[Named]) -> Vec<TopicPartition> {
        named
            .iter()
            .filter_map(|n| self.identify(n.topic.as_bytes(), n.partition))
            .collect()
    }

    fn topic(&self, partition: TopicPartition) -> &str {
        &self.topics[usize::from(partition.topic.0)]
    }

    /// Reads where to begin. Fails when the coordinator does not answer in time.
    pub(super) fn starts(&self, named: &[Named]) -> KafkaResult<Starts> {
        let list = self.consumer().committed_offsets(list(named), REQUEST)?;
        let committed = self.known_offsets(&list)?;
        let fresh: Vec<Named> = named
            .iter()
            .filter(|n| !committed.contains_key(&self.id(n)))
            .cloned()
            .collect();
        let mut begin = committed.clone();
        let mut starts = Starts {
            committed,
            begin: BTreeMap::new(),
            list,
        };
        for n in fresh {
            let offset = self.start_of(&n)?;
            starts
                .list
                .set_partition_offset(&n.topic, n.partition, offset)?;
            if let Offset::Offset(offset) = offset {
                begin.insert(self.id(&n), offset);
            }
        }
        starts.begin = begin;
        Ok(starts)
    }

    /// Starts at the committed offsets that the client finds itself.
    pub(super) fn unknown_starts(&self, named: &[Named]) -> Starts {
        Starts {
            committed: BTreeMap::new(),
            begin: BTreeMap::new(),
            list: list(named),
        }
    }

    fn id(&self, named: &Named) -> TopicPartition {
        self.identify(named.topic.as_bytes(), named.partition)
            .expect("the group gives only topics that were subscribed to")
    }

    fn known_offsets(
        &self,
        list: &TopicPartitionList,
    ) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        let mut known = BTreeMap::new();
        for element in list.elements() {
            element.error()?;
            let partition = self.identify(element.topic().as_bytes(), element.partition());
            if let (Some(partition), Offset::Offset(offset)) = (partition, element.offset()) {
                known.insert(partition, offset);
            }
        }
        Ok(known)
    }

    /// Where a partition without a committed offset begins. The end is made a number at once: a
    /// logical end would move on if the next owner came before the first commit.
    fn start_of(&self, named: &Named) -> KafkaResult<Offset> {
        match self.start {
            Start::Earliest => Ok(Offset::Beginning),
            Start::Latest => self.end_of(named),
            Start::Timestamp(at) => {
                let mut times = TopicPartitionList::new();
                times.add_partition_offset(&named.topic, named.partition, Offset::Offset(at))?;
                let times = self.consumer().offsets_for_times(times, REQUEST)?;
                match times.elements().first().map(|element| element.offset()) {
                    Some(found @ Offset::Offset(_)) => Ok(found),
                    // No record that young.
                    _ => self.end_of(named),
                }
            }
        }
    }

    fn end_of(&self, named: &Named) -> KafkaResult<Offset> {
        let (_, end) = self
            .consumer()
            .fetch_watermarks(&named.topic, named.partition, REQUEST)?;
        Ok(Offset::Offset(end))
    }

    /// Forwards the partition to our queue; on every assign, before it.
    pub(super) fn forward(&self, partition: TopicPartition) -> Result<(), QueueError> {
        self.queue
            .forward(self.topic(partition), partition.partition)
    }

    /// Answers an assign.
    pub(super) fn assign(&self, starts: &Starts) -> KafkaResult<()> {
        self.consumer().incremental_assign(&starts.list)
    }

    /// Answers a revoke.
    pub(super) fn unassign(&self, named: &[Named]) {
        report(
            "unassign",
            self.consumer().incremental_unassign(&list(named)),
        );
    }

    /// Sends a commit; its answer comes as an event.
    pub(super) fn commit(&self, watermarks: &[Watermark]) -> Result<(), RDKafkaErrorCode> {
        let mut list = TopicPartitionList::with_capacity(watermarks.len());
        for w in watermarks {
            list.add_partition_offset(
                self.topic(w.partition),
                w.partition.partition,
                Offset::Offset(w.offset),
            )
            .map_err(|error| {
                error
                    .rdkafka_error_code()
                    .unwrap_or(RDKafkaErrorCode::InvalidArgument)
            })?;
        }
        self.queue.commit(&list)
    }

    /// Stops one partition's fetches. Only for assigned partitions: the client would take any
    /// other for wanted, report success and hang in its close.
    pub(super) fn pause(&self, partition: TopicPartition) -> KafkaResult<()> {
        let list = self.one(partition);
        self.consumer().pause(&list)?;
        first_error(&list)
    }

    /// Lifts a pause of ours. The client keeps it across assignments: without this a partition that
    /// was paused when it went gives no record when it comes back.
    pub(super) fn resume(&self, partition: TopicPartition) -> KafkaResult<()> {
        let list = self.one(partition);
        self.consumer().resume(&list)?;
        first_error(&list)
    }

    /// Reads a partition again from `offset`, and lifts its pause if there is one.
    pub(super) fn read_from(&self, partition: TopicPartition, offset: i64) -> KafkaResult<()> {
        let mut list = self.one(partition);
        list.set_partition_offset(
            self.topic(partition),
            partition.partition,
            Offset::Offset(offset),
        )?;
        let list = self.consumer().seek_partitions(list, REQUEST)?;
        first_error(&list)?;
        self.consumer().resume(&list)?;
        first_error(&list)
    }

    fn one(&self, partition: TopicPartition) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.topic(partition), partition.partition);
        list
    }

    /// End of the partition's log, as of the last fetch.
    pub(super) fn end(&self, partition: TopicPartition) -> Option<i64> {
        cached_end(self.consumer(), self.topic(partition), partition.partition)
    }

    /// Leaves the group and destroys the client. Whatever the group still asks is answered at
    /// once; pending answers must have been given before.
    pub(super) fn close(self, deadline: Instant) -> Closed {
        self.consumer().context().close();
        if self.consumer().close_queue().is_ok() {
            while !self.consumer().closed() && Instant::now() < deadline {
                let _ = self.consumer().poll(Duration::from_millis(10));
                let _ = self.consumer().context().take();
            }
        }
        // The destructor may wait for brokers without limit, so it gets a thread that can be left.
        let (done, closed) = mpsc::sync_channel(1);
        let spawned = thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || {
                drop(self);
                let _ = done.send(());
            });
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(100));
        match spawned.is_ok() && closed.recv_timeout(patience).is_ok() {
            true => Closed::Clean,
            false => Closed::Abandoned,
        }
    }
}

fn first_error(list: &TopicPartitionList) -> KafkaResult<()> {
    list.elements().first().map_or(
        Ok(()),
        rdkafka::topic_partition_list::TopicPartitionListElem::error,
    )
}
