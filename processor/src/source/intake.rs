//! What the source asks of whoever takes its records: the seam to the dispatcher.
//! Layer: core

pub use crate::record::{Epoch, Watermark};
use crate::record::{Parts, Position, TopicPartition};

/// A partition that the group has given to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The partition.
    pub partition: TopicPartition,
    /// This assignment of it.
    pub epoch: Epoch,
    /// The group's committed offset; `None` when there is none or it could not be read in time.
    pub committed: Option<i64>,
}

/// A record that waits for admission, still in the client's memory.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// Where it stands in the log.
    pub position: Position,
    /// The assignment that it was read under.
    pub epoch: Epoch,
    /// What it holds.
    pub body: Body<'a>,
}

/// What an offered record holds.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A record to copy with [`crate::record::Record::copy`] if it is admitted.
    Record(Parts<'a>),
    /// A record above the plan's largest message. Its value is not to be copied: dead-letter it by
    /// reference to its position.
    Oversize(Oversize<'a>),
}

/// What is told of a record that is too large to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversize<'a> {
    /// The key; `None` is null. It may be large, too.
    pub key: Option<&'a [u8]>,
    /// Its headers, for one may be the key of the pipeline.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Bytes of key, value and headers as [`crate::record::Record::encoded_len`] counts them.
    pub bytes: usize,
    /// Milliseconds since the epoch; negative when the log has none.
    pub timestamp_ms: i64,
}

/// How many of the offered records were taken, from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Taken records; their memory in the client is free again.
    pub taken: usize,
    /// Why not all; it concerns the first record that was not taken.
    pub held: Option<Held>,
}

/// Why a record has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Partition of the waiting record.
    pub partition: TopicPartition,
    /// What it waits for.
    pub reason: HeldReason,
}

/// What a record waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldReason {
    /// An operator or the governor has closed the gate.
    GateClosed,
    /// The pod's budget is used up.
    PodFull,
    /// Only its partition's budget is used up: others may go on.
    PartitionFull,
}

/// Whether a commit can wait for its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// It can.
    Routine,
    /// A partition has used a quarter of its window: commit as soon as no other is in flight.
    Urgent,
}

/// Takes records in; called by the source thread only, which it must not block.
pub trait Intake: Send {
    /// These partitions are ours from now on. Comes before their first record.
    fn assign(&mut self, partitions: &[Assigned]);

    /// Offers records, of each partition in log order. What is not taken is offered again.
    fn admit(&mut self, records: &[Offered<'_>]) -> Admission;

    /// How full the partition's budget is, in per cent of what it may hold.
    fn fill_percent(&mut self, partition: TopicPartition) -> u8;

    /// These partitions are about to go: start nothing new on them.
    fn begin_revoke(&mut self, partitions: &[TopicPartition]);

    /// Records of these partitions that are being worked on.
    fn running(&mut self, partitions: &[TopicPartition]) -> usize;

    /// These partitions are gone after this call; their last watermarks are committed if there is
    /// time, those that changed since the last acknowledged commit.
    fn finish_revoke(&mut self, partitions: &[TopicPartition]) -> Vec<Watermark>;

    /// These partitions are gone already and may have another owner: commit nothing.
    fn lose(&mut self, partitions: &[TopicPartition]);

    /// Appends the watermarks that changed since they were last acknowledged.
    fn watermarks(&mut self, into: &mut Vec<Watermark>);

    /// Whether a commit can wait.
    fn urgency(&mut self) -> Urgency;

    /// The broker has acknowledged these commits.
    fn acknowledged(&mut self, commits: &[Watermark]);
}
