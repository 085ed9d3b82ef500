//! Takes the source's records into the dispatcher: key, charge, room, copy, admit.
//! Layer: shell

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use penstock_sizing::record_charge;

use crate::{
    dispatch::{
        KeyHasher,
        engine::Full,
        pool::{self, Dispatcher},
    },
    keys::KeyRule,
    record::{Epoch, Parts, Position, Record, TopicPartition, Watermark},
    source::intake::{Admission, Assigned, Body, Held, HeldReason, Intake, Offered, Urgency},
    work::{self, Origin, Oversize, Work},
};

/// Key of an oversize record is kept up to this; a longer one is cut, for its letter names the
/// position anyway.
const OVERSIZE_KEY: usize = 1024;

/// What the adapter is made from.
pub struct Admissions {
    /// Where records go.
    pub dispatcher: Dispatcher<Work>,
    /// Names of the pipeline's topics, by topic id.
    pub topics: Vec<Arc<str>>,
    /// `source.generation`.
    pub generation: u64,
    /// What the key of a record is.
    pub key_rule: KeyRule,
    /// Key to queue.
    pub hasher: KeyHasher,
    /// `source.maxMessageBytes`.
    pub largest: u64,
}

/// The dispatcher as the source sees it.
pub struct DispatcherIntake {
    set_up: Admissions,
    partitions: BTreeMap<TopicPartition, Assignment>,
    /// Offset and charge of a run of records of one partition; reused.
    charges: Vec<(i64, u64)>,
    /// Copies on their way; reused, empty between calls.
    batch: VecDeque<pool::Admission<Work>>,
    marks: Vec<Watermark>,
}

struct Assignment {
    epoch: Epoch,
    shared: Arc<work::Assignment>,
}

impl DispatcherIntake {
    /// An intake without partitions.
    #[must_use]
    pub fn new(set_up: Admissions) -> Self {
        Self {
            set_up,
            partitions: BTreeMap::new(),
            charges: Vec::new(),
            batch: VecDeque::new(),
            marks: Vec::new(),
        }
    }

    /// Admits a run of records of one partition; how many, and what stopped it.
    fn admit_run(&mut self, partition: TopicPartition, run: &[Offered<'_>]) -> pool::Admitted {
        let Some(assignment) = self.partitions.get(&partition) else {
            return pool::Admitted {
                records: 0,
                stopped: Some(Full::Epoch),
            };
        };
        self.charges.clear();
        self.charges
            .extend(run.iter().map(|r| (r.position.offset, charge(&r.body))));
        let room = self.set_up.dispatcher.room(partition, &self.charges);
        let topic = &self.set_up.topics[usize::from(partition.topic.0)];
        let origin = Origin::new(topic, &assignment.shared);
        for (record, (_, charge)) in run[..room.records].iter().zip(&self.charges) {
            self.batch
                .push_back(self.set_up.copy(record, *charge, &origin));
        }
        let admitted = self.set_up.dispatcher.admit(partition, &mut self.batch);
        // Normally empty: only a budget that shrank in between leaves copies behind.
        self.batch.clear();
        let stopped = admitted.stopped.or(room.stopped);
        pool::Admitted {
            records: admitted.records,
            stopped,
        }
    }

    fn changed(&mut self) -> impl Iterator<Item = Watermark> {
        self.marks.clear();
        self.set_up.dispatcher.watermarks(&mut self.marks);
        let partitions = &self.partitions;
        self.marks.iter().copied().filter(move |mark| {
            partitions.get(&mark.partition).is_some_and(|assignment| {
                assignment.epoch == mark.epoch && mark.offset > assignment.shared.floor()
            })
        })
    }
}

impl Intake for DispatcherIntake {
    fn assign(&mut self, partitions: &[Assigned]) {
        for assigned in partitions {
            let committed = assigned.committed.unwrap_or(-1);
            let shared = work::Assignment::new(self.set_up.generation, committed);
            let assignment = Assignment {
                epoch: assigned.epoch,
                shared: Arc::new(shared),
            };
            self.partitions.insert(assigned.partition, assignment);
            self.set_up
                .dispatcher
                .assign(assigned.partition, assigned.epoch);
        }
    }

    fn admit(&mut self, records: &[Offered<'_>]) -> Admission {
        let mut taken = 0;
        for run in records.chunk_by(|a, b| a.position.partition == b.position.partition) {
            let partition = run[0].position.partition;
            let admitted = self.admit_run(partition, run);
            taken += admitted.records;
            if admitted.records < run.len() {
                let reason = admitted.stopped.map_or(HeldReason::PodFull, held);
                return Admission {
                    taken,
                    held: Some(Held { partition, reason }),
                };
            }
        }
        Admission { taken, held: None }
    }

    fn fill_percent(&mut self, partition: TopicPartition) -> u8 {
        let limits = self.set_up.dispatcher.limits();
        self.set_up.dispatcher.fill(partition).map_or(0, |fill| {
            percent(fill.records, limits.records.into())
                .max(percent(fill.bytes, limits.bytes))
                .max(percent(fill.window, limits.window.into()))
        })
    }

    fn begin_revoke(&mut self, partitions: &[TopicPartition]) {
        self.set_up.dispatcher.begin_revoke(partitions);
    }

    fn running(&mut self, partitions: &[TopicPartition]) -> usize {
        self.set_up.dispatcher.running(partitions)
    }

    fn finish_revoke(&mut self, partitions: &[TopicPartition]) -> Vec<Watermark> {
        let last = self
            .changed()
            .filter(|mark| partitions.contains(&mark.partition))
            .collect();
        self.set_up.dispatcher.finish_revoke(partitions);
        partitions
            .iter()
            .for_each(|partition| drop(self.partitions.remove(partition)));
        last
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        self.set_up.dispatcher.lose(partitions);
        partitions
            .iter()
            .for_each(|partition| drop(self.partitions.remove(partition)));
    }

    fn watermarks(&mut self, into: &mut Vec<Watermark>) {
        into.extend(self.changed());
    }

    fn urgency(&mut self) -> Urgency {
        let quarter = u64::from(self.set_up.dispatcher.limits().window / 4).max(1);
        let urgent = self.partitions.keys().any(|partition| {
            self.set_up
                .dispatcher
                .fill(*partition)
                .is_some_and(|fill| fill.window >= quarter)
        });
        if urgent {
            Urgency::Urgent
        } else {
            Urgency::Routine
        }
    }

    fn acknowledged(&mut self, commits: &[Watermark]) {
        for commit in commits {
            let Some(assignment) = self.partitions.get(&commit.partition) else {
                continue;
            };
            if assignment.epoch != commit.epoch {
                continue;
            }
            assignment.shared.raise_floor(commit.offset);
            self.set_up.dispatcher.acknowledged(*commit);
        }
    }
}

impl Admissions {
    fn copy(
        &self,
        offered: &Offered<'_>,
        charge: u64,
        origin: &Arc<Origin>,
    ) -> pool::Admission<Work> {
        let position: Position = offered.position;
        let origin = Arc::clone(origin);
        let (key, payload) = match &offered.body {
            Body::Record(parts) => {
                let record = Record::copy(position, parts);
                let key = self.hasher.key(self.key_rule.key(&record));
                (key, Work::new(record, origin, None))
            }
            Body::Oversize(large) => {
                let kept = large.key.map(|key| &key[..key.len().min(OVERSIZE_KEY)]);
                let parts = Parts {
                    key: kept,
                    value: None,
                    headers: &[],
                    timestamp_ms: large.timestamp_ms,
                };
                let key = self.hasher.key(self.key_rule.key_of_oversize(large));
                let oversize = Oversize {
                    bytes: large.bytes as u64,
                    limit: self.largest,
                };
                (
                    key,
                    Work::new(Record::copy(position, &parts), origin, Some(oversize)),
                )
            }
        };
        pool::Admission {
            offset: position.offset,
            key,
            charge,
            payload,
        }
    }
}

/// The one charge formula over what will be copied.
fn charge(body: &Body<'_>) -> u64 {
    let bytes = match body {
        Body::Record(parts) => Record::encoded_len(parts),
        Body::Oversize(large) => large.key.map_or(0, |key| key.len().min(OVERSIZE_KEY)),
    };
    record_charge(bytes as u64)
}

fn held(full: Full) -> HeldReason {
    match full {
        Full::Records | Full::Bytes | Full::Window | Full::Share => HeldReason::PartitionFull,
        Full::Pod => HeldReason::PodFull,
        Full::Gate => HeldReason::GateClosed,
        // The source checks both before it offers; what slips through waits for the next check.
        Full::Epoch | Full::Backwards { .. } => HeldReason::PartitionFull,
    }
}

fn percent(used: u64, of: u64) -> u8 {
    u8::try_from((used * 100 / of.max(1)).min(100)).expect("at most 100")
}
