//! An intake that finishes every record at once and remembers everything.
//! Layer: test

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use penstock_processor::{
    record::{Record, TopicId, TopicPartition},
    source::intake::{
        Admission, Assigned, Body, Epoch, Held, HeldReason, Intake, Offered, Urgency, Watermark,
    },
};

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: TopicId(0),
        partition: number,
    }
}

/// One member's view; members of a group share what the group has seen.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    member: Arc<Mutex<Member>>,
    group: Arc<Mutex<Group>>,
}

#[derive(Default)]
struct Group {
    offsets: BTreeMap<i32, BTreeMap<i64, usize>>,
    backwards: usize,
}

#[derive(Default)]
struct Member {
    owned: BTreeMap<TopicPartition, (Epoch, Option<i64>)>,
    taken: usize,
    offsets: BTreeMap<i32, Vec<i64>>,
    watermarks: BTreeMap<TopicPartition, i64>,
    acknowledged: BTreeMap<TopicPartition, i64>,
    at_assign: BTreeMap<i32, Option<i64>>,
    limits: BTreeMap<i32, usize>,
    gate_closed: bool,
    running: usize,
    revoke_waits: usize,
    revoking: BTreeSet<TopicPartition>,
    oversize: Vec<(i64, usize)>,
    losses: usize,
    block: Option<Receiver<()>>,
}

impl Fake {
    /// Another member of the same group.
    pub(crate) fn member(&self) -> Self {
        Self {
            member: Arc::default(),
            group: Arc::clone(&self.group),
        }
    }

    fn me(&self) -> MutexGuard<'_, Member> {
        self.member.lock().expect("no panic under the lock")
    }

    fn us(&self) -> MutexGuard<'_, Group> {
        self.group.lock().expect("no panic under the lock")
    }

    pub(crate) fn taken(&self) -> usize {
        self.me().taken
    }

    pub(crate) fn owned(&self) -> usize {
        self.me().owned.len()
    }

    pub(crate) fn offsets(&self, number: i32) -> Vec<i64> {
        self.me().offsets.get(&number).cloned().unwrap_or_default()
    }

    pub(crate) fn acknowledged(&self, number: i32) -> Option<i64> {
        self.me().acknowledged.get(&partition(number)).copied()
    }

    pub(crate) fn committed_at_assign(&self, number: i32) -> Option<i64> {
        self.me().at_assign.get(&number).copied().flatten()
    }

    /// How many partitions came with a committed offset.
    pub(crate) fn assigned_committed(&self) -> usize {
        self.me().at_assign.values().flatten().count()
    }

    pub(crate) fn limit(&self, number: i32, records: usize) {
        self.me().limits.insert(number, records);
    }

    pub(crate) fn unlimit(&self, number: i32) {
        self.me().limits.remove(&number);
    }

    pub(crate) fn close_gate(&self) {
        self.me().gate_closed = true;
    }

    pub(crate) fn open_gate(&self) {
        self.me().gate_closed = false;
    }

    pub(crate) fn set_running(&self, records: usize) {
        self.me().running = records;
    }

    /// The next admission takes until the answer is dropped, which no intake may.
    pub(crate) fn block_once(&self) -> SyncSender<()> {
        let (release, released) = sync_channel(0);
        self.me().block = Some(released);
        release
    }

    /// Whether an admission has begun to block.
    pub(crate) fn is_blocked(&self) -> bool {
        self.me().block.is_none()
    }

    pub(crate) fn losses(&self) -> usize {
        self.me().losses
    }

    pub(crate) fn revoke_waits(&self) -> usize {
        self.me().revoke_waits
    }

    pub(crate) fn oversize(&self) -> Vec<(i64, usize)> {
        self.me().oversize.clone()
    }

    /// Highest offset that any member of the group has taken.
    pub(crate) fn last(&self, number: i32) -> Option<i64> {
        self.us()
            .offsets
            .get(&number)
            .and_then(|seen| seen.keys().next_back().copied())
    }

    /// Distinct offsets that the group has taken.
    pub(crate) fn distinct(&self, number: i32) -> usize {
        self.us().offsets.get(&number).map_or(0, BTreeMap::len)
    }

    /// Records that the group has taken more than once.
    pub(crate) fn repeats(&self) -> usize {
        self.us()
            .offsets
            .values()
            .flat_map(BTreeMap::values)
            .map(|times| times - 1)
            .sum()
    }

    /// Records not above the one before them within one assignment.
    pub(crate) fn backwards(&self) -> usize {
        self.us().backwards
    }
}

impl Member {
    fn hold(&self, offered: &Offered<'_>) -> Option<HeldReason> {
        let number = offered.position.partition.partition;
        let full = self
            .limits
            .get(&number)
            .is_some_and(|limit| self.held(number) >= *limit);
        if self.gate_closed {
            Some(HeldReason::GateClosed)
        } else {
            full.then_some(HeldReason::PartitionFull)
        }
    }

    fn held(&self, number: i32) -> usize {
        self.offsets.get(&number).map_or(0, Vec::len)
    }

    fn take(&mut self, offered: &Offered<'_>, group: &mut Group) {
        let position = offered.position;
        let (epoch, _) = self.owned[&position.partition];
        assert_eq!(epoch, offered.epoch, "a record of another assignment");
        assert!(
            !self.revoking.contains(&position.partition),
            "a record after begin_revoke"
        );
        match offered.body {
            Body::Record(parts) => {
                let record = Record::copy(position, &parts);
                assert_eq!(record.value().map(<[u8]>::len), Some(100));
            }
            Body::Oversize(oversize) => self.oversize.push((position.offset, oversize.bytes)),
        }
        let number = position.partition.partition;
        let before = self
            .watermarks
            .insert(position.partition, position.offset + 1);
        group.backwards += usize::from(before.is_some_and(|next| position.offset < next));
        self.offsets
            .entry(number)
            .or_default()
            .push(position.offset);
        *group
            .offsets
            .entry(number)
            .or_default()
            .entry(position.offset)
            .or_default() += 1;
        self.taken += 1;
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.owned.remove(partition);
            self.watermarks.remove(partition);
            self.acknowledged.remove(partition);
            self.revoking.remove(partition);
        }
    }

    fn changed(&self) -> Vec<Watermark> {
        let changed = self
            .watermarks
            .iter()
            .filter(|(partition, offset)| self.acknowledged.get(*partition) != Some(*offset));
        changed
            .map(|(partition, offset)| Watermark {
                partition: *partition,
                epoch: self.owned[partition].0,
                offset: *offset,
            })
            .collect()
    }
}

impl Intake for Fake {
    fn assign(&mut self, partitions: &[Assigned]) {
        let mut me = self.me();
        for given in partitions {
            let before = me
                .owned
                .insert(given.partition, (given.epoch, given.committed));
            assert!(before.is_none(), "assigned twice");
            me.at_assign
                .insert(given.partition.partition, given.committed);
        }
    }

    fn admit(&mut self, records: &[Offered<'_>]) -> Admission {
        let block = self.me().block.take();
        if let Some(released) = block {
            released.recv().expect_err("the test drops it");
        }
        let (mut me, mut us) = (self.me(), self.us());
        for (taken, offered) in records.iter().enumerate() {
            if let Some(reason) = me.hold(offered) {
                let held = Some(Held {
                    partition: offered.position.partition,
                    reason,
                });
                return Admission { taken, held };
            }
            me.take(offered, &mut us);
        }
        Admission {
            taken: records.len(),
            held: None,
        }
    }

    fn fill_percent(&mut self, partition: TopicPartition) -> u8 {
        if self.me().limits.contains_key(&partition.partition) {
            100
        } else {
            0
        }
    }

    fn begin_revoke(&mut self, partitions: &[TopicPartition]) {
        self.me().revoking.extend(partitions);
    }

    fn running(&mut self, _: &[TopicPartition]) -> usize {
        let mut me = self.me();
        me.revoke_waits += usize::from(me.running > 0);
        me.running
    }

    fn finish_revoke(&mut self, partitions: &[TopicPartition]) -> Vec<Watermark> {
        let mut me = self.me();
        let mut changed = me.changed();
        changed.retain(|watermark| partitions.contains(&watermark.partition));
        me.forget(partitions);
        changed
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        let mut me = self.me();
        me.losses += 1;
        me.forget(partitions);
    }

    fn watermarks(&mut self, into: &mut Vec<Watermark>) {
        into.extend(self.me().changed());
    }

    fn urgency(&mut self) -> Urgency {
        Urgency::Routine
    }

    fn acknowledged(&mut self, commits: &[Watermark]) {
        let mut me = self.me();
        for commit in commits {
            if me
                .owned
                .get(&commit.partition)
                .is_some_and(|(epoch, _)| *epoch == commit.epoch)
            {
                me.acknowledged.insert(commit.partition, commit.offset);
            }
        }
    }
}
