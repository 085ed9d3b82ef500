//! The rules of a partition, written so that they are slow and obviously right.
//! Layer: test

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::dispatch::{Blame, Full, Key, Limits, State};

/// A queue: of a key, or of one record without order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    Key(u64),
    Record(i64),
}

/// A queue of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    offsets: VecDeque<i64>,
    running: Head,
}

/// What the oldest record of a queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Head {
    Ready,
    Running,
    Parked(u64),
    Blocked,
}

/// An unfinished record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Open {
    name: Name,
    charge: u64,
    attempts: u16,
}

/// Maps of queues and an ordered list of offsets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    pub(super) state: State,
    pub(super) epoch: u64,
    lines: Vec<BTreeMap<Name, Line>>,
    /// Queues with a ready head, in the order in which they became ready.
    ready: Vec<VecDeque<Name>>,
    open: BTreeMap<i64, Open>,
    /// Offsets of the epoch from the acknowledged position on, and whether each is done.
    admitted: BTreeMap<i64, Done>,
    acknowledged: Option<i64>,
    watermark: Option<i64>,
    last: Option<i64>,
    stale: BTreeSet<(u64, i64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Done {
    Yes,
    No,
}

/// What can be seen from outside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) stale: (u64, u64),
    pub(super) window: u64,
    pub(super) watermark: Option<i64>,
    pub(super) oldest_open: Option<i64>,
    /// Ready keys, then queued, running, parked and blocked records.
    pub(super) lanes: Vec<[u32; 5]>,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Advance,
    Park(u64, Blame),
    Block,
    GiveBack,
    Abandon,
}

impl Reference {
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            state: State::Idle,
            epoch: 0,
            lines: vec![BTreeMap::new(); lanes],
            ready: vec![VecDeque::new(); lanes],
            open: BTreeMap::new(),
            admitted: BTreeMap::new(),
            acknowledged: None,
            watermark: None,
            last: None,
            stale: BTreeSet::new(),
        }
    }

    pub(super) fn admit(
        &mut self,
        limits: &Limits,
        offset: i64,
        key: Key,
        charge: u64,
    ) -> Option<Full> {
        let view = self.view();
        if self.state != State::Consuming {
            return Some(Full::Epoch);
        }
        if offset < 0 || self.last.is_some_and(|last| offset <= last) {
            return Some(Full::Backwards {
                expected: self.last.map_or(0, |last| last + 1),
            });
        }
        if view.records + 1 > u64::from(limits.records) {
            return Some(Full::Records);
        }
        if view.window + 1 > u64::from(limits.window) {
            return Some(Full::Window);
        }
        if view.records > 0 && view.bytes + charge > limits.bytes {
            return Some(Full::Bytes);
        }
        let name = match key {
            Key::Hash(hash) => Name::Key(hash),
            Key::Spread => Name::Record(offset),
        };
        self.last = Some(offset);
        self.admitted.insert(offset, Done::No);
        self.open.insert(
            offset,
            Open {
                name,
                charge,
                attempts: 0,
            },
        );
        self.enqueue(0, name, offset);
        None
    }

    /// Offset and attempts of the record that must be handed out.
    pub(super) fn take(&mut self, limits: &Limits, lane: usize) -> Option<(i64, u16)> {
        let cap = if lane == 0 {
            limits.running
        } else {
            limits.detached_running
        };
        if self.state != State::Consuming || self.view().lanes[lane][2] >= cap {
            return None;
        }
        let name = self.ready[lane].pop_front()?;
        let line = self.lines[lane]
            .get_mut(&name)
            .expect("a ready queue exists");
        line.running = Head::Running;
        let offset = line.offsets[0];
        Some((offset, self.open[&offset].attempts))
    }

    /// Ends the run of a record; bytes and records released.
    pub(super) fn end(&mut self, epoch: u64, lane: usize, offset: i64, end: End) -> (u64, u64) {
        let old = self
            .stale
            .iter()
            .find(|s| (s.0, s.1) == (epoch, offset))
            .copied();
        if let Some(stale) = old {
            self.stale.remove(&stale);
            return (stale.2, 1);
        }
        let last = lane + 1 == self.lines.len();
        let end = if last && end == End::Advance {
            End::Complete
        } else {
            end
        };
        if end == End::Complete {
            self.dequeue(lane, offset);
            self.admitted.insert(offset, Done::Yes);
            self.raise_watermark();
            return self.forget(offset);
        }
        if self.state == State::Draining {
            self.dequeue(lane, offset);
            return self.forget(offset);
        }
        let name = self.open[&offset].name;
        if end == End::Advance {
            self.dequeue(lane, offset);
            self.open.get_mut(&offset).expect("it is open").attempts = 0;
            self.enqueue(lane + 1, name, offset);
            return (0, 0);
        }
        self.stay(lane, offset, end)
    }

    pub(super) fn tick(&mut self, now: u64) {
        let mut due = Vec::new();
        for (lane, lines) in self.lines.iter_mut().enumerate() {
            for (name, line) in lines {
                if let Head::Parked(until) = line.running
                    && until <= now
                {
                    line.running = Head::Ready;
                    due.push((until, line.offsets[0], lane, *name));
                }
            }
        }
        due.sort();
        due.into_iter()
            .for_each(|(_, _, lane, name)| self.ready[lane].push_back(name));
    }

    pub(super) fn acknowledged(&mut self, position: i64) {
        let position = self.watermark.map_or(i64::MIN, |mark| mark.min(position));
        self.acknowledged = self.acknowledged.max(Some(position));
        let gone = self.acknowledged.expect("just set");
        self.admitted.retain(|&offset, _| offset >= gone);
    }

    pub(super) fn assign(&mut self, epoch: u64) {
        let stale = std::mem::take(&mut self.stale);
        *self = Self {
            stale,
            epoch,
            state: State::Consuming,
            ..Self::new(self.lines.len())
        };
    }

    /// Bytes and records released.
    pub(super) fn begin_revoke(&mut self) -> (u64, u64) {
        if self.state != State::Consuming {
            return (0, 0);
        }
        self.state = State::Draining;
        self.drop_waiting()
    }

    /// Bytes and records released.
    pub(super) fn lose(&mut self) -> (u64, u64) {
        if self.state == State::Idle {
            return (0, 0);
        }
        let released = self.drop_waiting();
        let epoch = self.epoch;
        let running = std::mem::take(&mut self.open);
        self.stale.extend(
            running
                .into_iter()
                .map(|(at, open)| (epoch, at, open.charge)),
        );
        let stale = std::mem::take(&mut self.stale);
        *self = Self {
            stale,
            epoch,
            ..Self::new(self.lines.len())
        };
        released
    }

    pub(super) fn view(&self) -> View {
        let lanes = self.lines.iter().zip(&self.ready).map(|(lines, ready)| {
            let heads = |head: fn(Head) -> bool| {
                u32::try_from(lines.values().filter(|line| head(line.running)).count())
                    .expect("few queues")
            };
            let all: usize = lines.values().map(|line| line.offsets.len()).sum();
            let running = heads(|head| head == Head::Running);
            let parked = heads(|head| matches!(head, Head::Parked(_)));
            let blocked = heads(|head| head == Head::Blocked);
            let all = u32::try_from(all).expect("few records");
            let ready = u32::try_from(ready.len()).expect("few queues");
            [
                ready,
                all - running - parked - blocked,
                running,
                parked,
                blocked,
            ]
        });
        View {
            records: self.open.len() as u64,
            bytes: self.open.values().map(|open| open.charge).sum(),
            stale: (
                self.stale.len() as u64,
                self.stale.iter().map(|stale| stale.2).sum(),
            ),
            window: self.admitted.len() as u64,
            watermark: self.watermark,
            oldest_open: self
                .admitted
                .iter()
                .find(|(_, done)| **done == Done::No)
                .map(|(o, _)| *o),
            lanes: lanes.collect(),
        }
    }

    fn stay(&mut self, lane: usize, offset: i64, end: End) -> (u64, u64) {
        let open = self.open.get_mut(&offset).expect("it is open");
        let (name, mut released) = (open.name, 0);
        let head = match end {
            End::Park(until, blame) => {
                open.attempts += u16::from(blame == Blame::Record);
                Head::Parked(until)
            }
            End::Abandon => {
                released = std::mem::take(&mut open.charge);
                Head::Blocked
            }
            End::GiveBack => {
                self.ready[lane].push_back(name);
                Head::Ready
            }
            End::Block | End::Complete | End::Advance => Head::Blocked,
        };
        self.lines[lane]
            .get_mut(&name)
            .expect("its queue exists")
            .running = head;
        (released, 0)
    }

    fn enqueue(&mut self, lane: usize, name: Name, offset: i64) {
        if let Some(line) = self.lines[lane].get_mut(&name) {
            line.offsets.push_back(offset);
            return;
        }
        let line = Line {
            offsets: VecDeque::from([offset]),
            running: Head::Ready,
        };
        self.lines[lane].insert(name, line);
        self.ready[lane].push_back(name);
    }

    fn dequeue(&mut self, lane: usize, offset: i64) {
        let name = self.open[&offset].name;
        let line = self.lines[lane].get_mut(&name).expect("its queue exists");
        assert_eq!(line.offsets.pop_front(), Some(offset), "the head ran");
        if line.offsets.is_empty() {
            self.lines[lane].remove(&name);
        } else {
            line.running = Head::Ready;
            self.ready[lane].push_back(name);
        }
    }

    fn raise_watermark(&mut self) {
        for (&offset, &done) in &self.admitted {
            if done == Done::No {
                break;
            }
            self.watermark = Some(offset + 1);
        }
    }

    fn forget(&mut self, offset: i64) -> (u64, u64) {
        (self.open.remove(&offset).expect("it is open").charge, 1)
    }

    fn drop_waiting(&mut self) -> (u64, u64) {
        let mut kept = BTreeSet::new();
        for lines in &mut self.lines {
            lines.retain(|_, line| line.running == Head::Running);
            for line in lines.values_mut() {
                line.offsets.truncate(1);
                kept.insert(line.offsets[0]);
            }
        }
        self.ready.iter_mut().for_each(VecDeque::clear);
        let before = self.view();
        self.open.retain(|offset, _| kept.contains(offset));
        let after = self.view();
        (before.bytes - after.bytes, before.records - after.records)
    }
}
