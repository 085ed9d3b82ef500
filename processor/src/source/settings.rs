//! What a source is told, and the client's configuration that follows from it.
//! Layer: core

use std::time::Duration;

use super::security::Security;

/// Everything a source needs to know.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// `host:port` of some brokers, separated by commas.
    pub bootstrap: String,
    /// How the client proves who it is, and whom it trusts.
    pub security: Security,
    /// The consumer group.
    pub group: String,
    /// Topics; a [`crate::record::TopicId`] is an index into them.
    pub topics: Vec<String>,
    /// How the group shares its partitions out.
    pub protocol: GroupProtocol,
    /// Where a partition without a committed offset begins.
    pub start: Start,
    /// Records above this are handed over as oversize, bytes.
    pub max_message_bytes: usize,
    /// Numbers of the memory plan.
    pub limits: ClientLimits,
    /// Tuning that costs no memory.
    pub tuning: ClientTuning,
    /// Time between two routine commits.
    pub commit_interval: Duration,
    /// How long a revoke may wait for running records: the whole member stands still meanwhile.
    pub drain_deadline: Duration,
}

/// How the group shares its partitions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// By a member, cooperatively (`cooperative-sticky`).
    Classic,
    /// By the broker (KIP-848).
    Consumer,
}

/// Where a partition without a committed offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// At the first record of this time or later, milliseconds since the epoch.
    Timestamp(i64),
}

/// The client's share of the memory plan, in the client's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Prefetched values of all partitions, kB of 1,000 bytes.
    pub queued_max_messages_kbytes: u32,
    /// One fetch response, bytes.
    pub fetch_max_bytes: u32,
    /// One partition's part of a fetch response, bytes.
    pub max_partition_fetch_bytes: u32,
    /// Largest message the client expects, bytes.
    pub message_max_bytes: u32,
    /// Largest response, bytes; caps what zstd may unpack to.
    pub receive_message_max_bytes: u32,
    /// Pause of a partition's fetcher when the prefetch is full, milliseconds.
    pub fetch_queue_backoff_ms: u32,
    /// A second bound of the prefetch, records.
    pub queued_min_messages: u32,
    /// Send buffer of a broker's socket, bytes.
    pub socket_send_buffer_bytes: u32,
    /// Receive buffer of a broker's socket, bytes.
    pub socket_receive_buffer_bytes: u32,
}

/// The tuning that a pipeline may set; nothing here costs memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTuning {
    /// How long the broker may wait for data before it answers a fetch.
    pub fetch_wait: Duration,
    /// After this silence the group gives a member up; the broker's matter in [`GroupProtocol::Consumer`].
    pub session_timeout: Duration,
    /// After this time without a poll the client leaves the group by itself.
    pub max_poll_interval: Duration,
    /// Where this process stands, to read from near replicas.
    pub rack: Option<String>,
}

impl Default for ClientTuning {
    fn default() -> Self {
        Self {
            fetch_wait: Duration::from_millis(100),
            session_timeout: Duration::from_secs(30),
            max_poll_interval: Duration::from_secs(60),
            rack: None,
        }
    }
}

impl SourceSettings {
    /// The client's properties, all that matter spelled out but for what comes from Secrets.
    #[must_use]
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("bootstrap.servers", self.bootstrap.clone()),
            ("group.id", self.group.clone()),
            ("client.id", "penstock".to_owned()),
            // The watermark alone decides what is committed.
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("check.crcs", "true".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("auto.offset.reset", self.offset_reset().to_owned()),
            ("socket.keepalive.enable", "true".to_owned()),
        ];
        properties.extend(self.protocol_properties());
        properties.extend(self.limits.properties());
        properties.extend(self.tuning.properties());
        properties
    }

    /// Also applies when a committed offset has left the log.
    fn offset_reset(&self) -> &'static str {
        match self.start {
            Start::Earliest | Start::Timestamp(_) => "earliest",
            Start::Latest => "latest",
        }
    }

    fn protocol_properties(&self) -> Vec<(&'static str, String)> {
        match self.protocol {
            GroupProtocol::Classic => vec![
                ("group.protocol", "classic".to_owned()),
                (
                    "partition.assignment.strategy",
                    "cooperative-sticky".to_owned(),
                ),
                ("session.timeout.ms", millis(self.tuning.session_timeout)),
                (
                    "heartbeat.interval.ms",
                    millis(self.tuning.session_timeout / 10),
                ),
            ],
            // The client refuses session, heartbeat and strategy here: they are the broker's.
            GroupProtocol::Consumer => vec![("group.protocol", "consumer".to_owned())],
        }
    }
}

impl ClientLimits {
    fn properties(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "queued.max.messages.kbytes",
                self.queued_max_messages_kbytes.to_string(),
            ),
            ("fetch.max.bytes", self.fetch_max_bytes.to_string()),
            (
                "max.partition.fetch.bytes",
                self.max_partition_fetch_bytes.to_string(),
            ),
            ("message.max.bytes", self.message_max_bytes.to_string()),
            (
                "receive.message.max.bytes",
                self.receive_message_max_bytes.to_string(),
            ),
            (
                "fetch.queue.backoff.ms",
                self.fetch_queue_backoff_ms.to_string(),
            ),
            ("queued.min.messages", self.queued_min_messages.to_string()),
            (
                "socket.send.buffer.bytes",
                self.socket_send_buffer_bytes.to_string(),
            ),
            (
                "socket.receive.buffer.bytes",
                self.socket_receive_buffer_bytes.to_string(),
            ),
        ]
    }
}

impl ClientTuning {
    fn properties(&self) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("fetch.wait.max.ms", millis(self.fetch_wait)),
            ("max.poll.interval.ms", millis(self.max_poll_interval)),
        ];
        properties.extend(self.rack.clone().map(|rack| ("client.rack", rack)));
        properties
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
