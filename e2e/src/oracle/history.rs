//! Reads an output topic of one partition, whose log is a total order of effects, against the ledger.
//! Layer: core

use std::collections::BTreeSet;

use crate::{
    ledger::{Ledger, NONE},
    workload::{Event, VALUE_BYTES},
};

/// The high bit of a record's count: it was first seen before its predecessor.
const EARLY: u8 = 0x80;
/// Counts end here; nothing is asked of a record seen more often.
const COUNT: u8 = 0x7f;
/// Examples kept for a person.
const EXAMPLES: usize = 5;

/// One record of the output topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence<'a> {
    /// Input partition, from the provenance.
    pub(crate) partition: u32,
    /// Input offset, from the provenance.
    pub(crate) offset: u64,
    /// Which start of which processor wrote it.
    pub(crate) incarnation: u64,
    /// The record's key.
    pub(crate) key: &'a [u8],
    /// The record's value.
    pub(crate) value: &'a [u8],
}

/// What was found in the whole log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Positions of the ledger that never occurred.
    pub(crate) lost: u64,
    /// Occurrences whose key or value differ from what was produced there.
    pub(crate) altered: u64,
    /// Occurrences of positions that the ledger does not hold.
    pub(crate) foreign: u64,
    /// Records first seen before an earlier one of their key, and records that skipped one.
    pub(crate) out_of_order: u64,
    /// Of these, the records that skipped one which had been seen before.
    pub(crate) skipped: u64,
    /// Occurrences beyond the first of their position.
    pub(crate) repeated: u64,
    /// Of these, those whose partition had not changed owner since the last occurrence.
    pub(crate) unexplained: u64,
    /// Largest distance of an occurrence below the highest offset of its partition seen before.
    pub(crate) depth: u64,
    /// Changes of the incarnation that writes a partition's records, by partition.
    pub(crate) owner_changes: Vec<u64>,
    /// Partitions that hold records.
    pub(crate) partitions: u64,
    /// Of these, those with an occurrence.
    pub(crate) partitions_progressed: u64,
    /// Incarnations that wrote something.
    pub(crate) incarnations: BTreeSet<u64>,
    /// The first few faults, in words.
    pub(crate) examples: Vec<String>,
}

/// Consumes occurrences in log order. Five bytes a record beside the ledger.
pub(crate) struct History<'a> {
    ledger: &'a Ledger,
    lanes: Vec<Lane>,
    /// Last occurrence of each key.
    last: Vec<Option<Last>>,
    findings: Findings,
    scratch: Vec<u8>,
}

/// One input partition.
struct Lane {
    /// Times seen, and [`EARLY`], by offset.
    seen: Vec<u8>,
    /// Owner's turn at the last occurrence, by offset; wraps, which only forgives.
    turns: Vec<u16>,
    owner: Option<u64>,
    /// Counts changes of owner.
    turn: u64,
    highest: Option<u32>,
}

#[derive(Clone, Copy)]
struct Last {
    offset: u32,
    turn: u64,
}

impl<'a> History<'a> {
    /// Nothing seen yet.
    pub(crate) fn new(ledger: &'a Ledger) -> Self {
        let lanes = ledger.lengths().into_iter().map(Lane::new).collect();
        Self {
            ledger,
            lanes,
            last: vec![None; ledger.workload().keys as usize],
            findings: Findings::default(),
            scratch: Vec::with_capacity(VALUE_BYTES),
        }
    }

    /// The next record of the log.
    pub(crate) fn observe(&mut self, seen: &Occurrence<'_>) {
        let Some(event) = self.ledger.event(seen.partition, seen.offset) else {
            self.findings.foreign += 1;
            return self.example("unknown position", seen);
        };
        if !self.is_intact(&event, seen) {
            self.findings.altered += 1;
            self.example("altered", seen);
        }
        self.findings.incarnations.insert(seen.incarnation);
        let offset = u32::try_from(seen.offset).expect("the ledger holds it");
        let previous = self.ledger.previous(seen.partition, offset);
        let last = self.last[event.key as usize];
        let lane = &mut self.lanes[seen.partition as usize];
        lane.change_owner(seen.incarnation);
        self.findings.depth = self.findings.depth.max(lane.depth(offset));
        let sight = lane.see(offset, previous);
        let stride = last.map_or(Stride::Legal, |l| stride(l, lane.turn, offset, previous));
        self.last[event.key as usize] = Some(Last {
            offset,
            turn: lane.turn,
        });
        self.note(sight, stride, seen);
    }

    fn note(&mut self, sight: Sight, stride: Stride, seen: &Occurrence<'_>) {
        match sight {
            Sight::First | Sight::Early => {}
            Sight::Again => self.findings.repeated += 1,
            Sight::AgainSameOwner => {
                self.findings.repeated += 1;
                self.findings.unexplained += 1;
                self.example("repeated without a change of owner", seen);
            }
        }
        // An early record is counted at the end, when it is known whether its predecessor came.
        if sight == Sight::Early {
            self.example("before its predecessor", seen);
        } else if stride == Stride::Skips {
            self.findings.out_of_order += 1;
            self.findings.skipped += 1;
            self.example("skipped its predecessor", seen);
        }
    }

    fn is_intact(&mut self, event: &Event, seen: &Occurrence<'_>) -> bool {
        event.write_value(&mut self.scratch);
        self.scratch == seen.value && event.key_bytes() == seen.key
    }

    fn example(&mut self, what: &str, seen: &Occurrence<'_>) {
        if self.findings.examples.len() < EXAMPLES {
            let Occurrence {
                partition,
                offset,
                incarnation,
                ..
            } = seen;
            let example =
                format!("{what}: partition {partition} offset {offset}, processor {incarnation}");
            self.findings.examples.push(example);
        }
    }

    /// Closes the books.
    pub(crate) fn finish(mut self) -> Findings {
        for (partition, lane) in (0..).zip(&self.lanes) {
            self.findings.partitions += u64::from(!lane.seen.is_empty());
            self.findings.partitions_progressed += u64::from(lane.highest.is_some());
            self.findings.owner_changes.push(lane.turn);
            for (offset, count) in (0..).zip(&lane.seen) {
                let came = |previous: u32| lane.seen[previous as usize] & COUNT > 0;
                self.findings.lost += u64::from(count & COUNT == 0);
                let early = count & EARLY != 0 && came(self.ledger.previous(partition, offset));
                self.findings.out_of_order += u64::from(early);
            }
        }
        self.findings
    }
}

/// How an occurrence relates to what was seen of its record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    First,
    /// First, but its predecessor has not been seen.
    Early,
    Again,
    AgainSameOwner,
}

impl Lane {
    fn new(length: u64) -> Self {
        let length = usize::try_from(length).expect("records fit memory");
        Self {
            seen: vec![0; length],
            turns: vec![0; length],
            owner: None,
            turn: 0,
            highest: None,
        }
    }

    fn change_owner(&mut self, incarnation: u64) {
        let before = self.owner.replace(incarnation);
        self.turn += u64::from(before.is_some_and(|b| b != incarnation));
    }

    fn depth(&mut self, offset: u32) -> u64 {
        let highest = self.highest.map_or(offset, |h| h.max(offset));
        self.highest = Some(highest);
        u64::from(highest - offset)
    }

    fn see(&mut self, offset: u32, previous: u32) -> Sight {
        let early = previous != NONE && self.seen[previous as usize] & COUNT == 0;
        let count = &mut self.seen[offset as usize];
        let turn = (self.turn & 0xffff) as u16;
        let before = std::mem::replace(&mut self.turns[offset as usize], turn);
        let sight = match *count & COUNT {
            0 if early => Sight::Early,
            0 => Sight::First,
            _ if before == turn => Sight::AgainSameOwner,
            _ => Sight::Again,
        };
        if sight == Sight::Early {
            *count |= EARLY;
        }
        *count = (*count & EARLY) | ((*count & COUNT) + 1).min(COUNT);
        sight
    }
}

/// How an occurrence follows the last one of its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stride {
    Legal,
    Skips,
}

/// Within one owner's turn a key goes on with its next record, or back (which is a repeat and
/// judged as such), never past one. Between turns the new owner may start anywhere it has a right to.
fn stride(last: Last, turn: u64, offset: u32, previous: u32) -> Stride {
    match last.turn == turn && offset > last.offset && previous != last.offset {
        true => Stride::Skips,
        false => Stride::Legal,
    }
}

#[cfg(test)]
mod tests;
