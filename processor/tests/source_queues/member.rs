//! A group member that the test drives by hand: events from the main queue, records from its own.
//! Layer: test

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use penstock_processor::source::{
    events::{Event, Events, Named, list},
    queues::{Batch, RecordQueue},
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};

use crate::cluster::{Cluster, PATIENCE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Classic,
    Consumer,
}

/// When a member sends its partitions to the record queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    BeforeAssign,
    /// Only by [`Member::forward`], later.
    ByHand,
}

pub(crate) struct Member {
    batch: Batch<Events>,
    queue: RecordQueue<Events>,
    pub(crate) consumer: Arc<BaseConsumer<Events>>,
    topic: String,
    forward: Forward,
    /// Offsets taken from our queue, by partition, since its last assign.
    pub(crate) records: BTreeMap<i32, Vec<i64>>,
    /// Offsets that came up on the main queue.
    pub(crate) on_main: BTreeMap<i32, Vec<i64>>,
    /// What is assigned now.
    pub(crate) owned: Vec<i32>,
    /// A revoke that waits for an answer.
    pub(crate) revoke: Option<Vec<Named>>,
    pub(crate) lost: usize,
    pub(crate) fatal: usize,
    /// Highest offset taken of each partition, and how many records came back from below it
    /// within one assignment.
    pub(crate) backwards: usize,
    pub(crate) unowned: usize,
}

impl Member {
    pub(crate) fn join(
        cluster: &Cluster,
        topic: &str,
        protocol: Protocol,
        forward: Forward,
    ) -> Self {
        Self::join_with(
            cluster,
            topic,
            forward,
            &mut config(cluster, topic, protocol),
        )
    }

    pub(crate) fn join_with(
        _: &Cluster,
        topic: &str,
        forward: Forward,
        config: &mut ClientConfig,
    ) -> Self {
        let consumer: BaseConsumer<Events> = config
            .create_with_context(Events::default())
            .expect("a consumer");
        let consumer = Arc::new(consumer);
        let queue = RecordQueue::new(Arc::clone(&consumer));
        consumer.subscribe(&[topic]).expect("a subscription");
        Self {
            batch: queue.batch(),
            queue,
            consumer,
            topic: topic.to_owned(),
            forward,
            records: BTreeMap::new(),
            on_main: BTreeMap::new(),
            owned: Vec::new(),
            revoke: None,
            lost: 0,
            fatal: 0,
            backwards: 0,
            unowned: 0,
        }
    }

    /// Serves one event; a record here is remembered, not lost.
    pub(crate) fn serve(&mut self) {
        // Errors were recorded by the context.
        if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
            self.on_main
                .entry(message.partition())
                .or_default()
                .push(message.offset());
        }
        self.fatal = usize::from(self.consumer.client().fatal_error().is_some());
        for event in self.consumer.context().take() {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Assign(partitions) => {
                for partition in numbers(&partitions) {
                    if self.forward == Forward::BeforeAssign {
                        self.queue
                            .forward(&self.topic, partition)
                            .expect("a partition queue");
                    }
                    self.records.remove(&partition);
                    self.owned.push(partition);
                }
                self.owned.sort_unstable();
                self.consumer
                    .incremental_assign(&list(&partitions))
                    .expect("an assign");
            }
            Event::Revoke(partitions) => self.revoke = Some(partitions),
            Event::Lost(partitions) => {
                self.lost += 1;
                self.disown(&partitions);
            }
            Event::Committed(..) | Event::Error(_) => {}
        }
    }

    fn disown(&mut self, partitions: &[Named]) {
        let gone = numbers(partitions);
        self.owned.retain(|partition| !gone.contains(partition));
    }

    /// Answers the pending revoke.
    pub(crate) fn answer(&mut self) {
        let partitions = self.revoke.take().expect("a pending revoke");
        self.consumer
            .incremental_unassign(&list(&partitions))
            .expect("an unassign");
        self.disown(&partitions);
    }

    pub(crate) fn forward(&self, partition: i32) {
        self.queue
            .forward(&self.topic, partition)
            .expect("a partition queue");
    }

    /// Takes up to 64 records and checks each; returns how many there were.
    pub(crate) fn take(&mut self) -> usize {
        let taken = self.batch.take(64, Duration::from_millis(5));
        for message in self.batch.messages() {
            assert_eq!(message.error(), None);
            assert_eq!(message.topic(), self.topic.as_bytes());
            self.unowned += usize::from(!self.owned.contains(&message.partition()));
            let seen = self.records.entry(message.partition()).or_default();
            self.backwards += usize::from(seen.last() >= Some(&message.offset()));
            seen.push(message.offset());
        }
        taken
    }

    /// Serves and takes until the condition holds.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "waiting for {what}: {}",
                self.summary()
            );
            self.serve();
            self.take();
        }
    }

    /// Serves events, and takes no record, until the condition holds.
    pub(crate) fn events_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "waiting for {what}: {}",
                self.summary()
            );
            self.serve();
            std::thread::yield_now();
        }
    }

    pub(crate) fn taken(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }

    pub(crate) fn summary(&self) -> String {
        let taken = self.taken();
        let Self {
            owned,
            lost,
            fatal,
            backwards,
            unowned,
            on_main,
            revoke,
            ..
        } = self;
        let pending = revoke.is_some();
        format!(
            "owned {owned:?}, taken {taken}, on main {}, pending revoke {pending}, lost {lost}, \
             fatal {fatal}, backwards {backwards}, unowned {unowned}",
            on_main.len()
        )
    }

    /// Answers what is pending, leaves the group and waits until the client is closed.
    pub(crate) fn close(mut self) {
        self.consumer.context().close();
        if self.revoke.is_some() {
            self.answer();
        }
        self.consumer.close_queue().expect("the close begins");
        let deadline = Instant::now() + PATIENCE;
        while !self.consumer.closed() {
            assert!(
                Instant::now() < deadline,
                "the close hangs: {}",
                self.summary()
            );
            self.serve();
        }
    }
}

fn numbers(partitions: &[Named]) -> Vec<i32> {
    partitions.iter().map(|named| named.partition).collect()
}

pub(crate) fn config(cluster: &Cluster, group: &str, protocol: Protocol) -> ClientConfig {
    let mut config = cluster.config();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", "256")
        .set("fetch.message.max.bytes", "65536")
        .set("fetch.queue.backoff.ms", "4")
        .set("fetch.wait.max.ms", "100");
    match protocol {
        Protocol::Classic => config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500"),
        Protocol::Consumer => config.set("group.protocol", "consumer"),
    };
    config
}

impl Drop for Member {
    /// A failed test must end, too: the client waits for every answer.
    fn drop(&mut self) {
        self.consumer.context().close();
        if let Some(partitions) = self.revoke.take() {
            let _ = self.consumer.incremental_unassign(&list(&partitions));
        }
    }
}
