//! What must always hold, as named predicates: asserted by the engine, checked by the tests.
//! Layer: core

use std::fmt::Debug;

use super::{
    engine::{Engine, State},
    node::Place,
    slab::NIL,
};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {detail}")]
pub struct Violation {
    /// Name of the predicate.
    pub invariant: &'static str,
    /// What was found.
    pub detail: String,
}

/// Admitted offsets strictly rise within an epoch.
pub(super) fn offsets_rise(last: i64, next: i64) -> bool {
    next > last
}

/// No more records are open to repetition than the window allows.
pub(super) fn window_is_bounded(window: u64, limit: u32) -> bool {
    window <= u64::from(limit)
}

/// The committed position never passes an open record.
pub(super) fn commit_is_below_open(watermark: Option<i64>, oldest_open: Option<i64>) -> bool {
    watermark
        .zip(oldest_open)
        .is_none_or(|(watermark, open)| watermark <= open)
}

/// A ticket of the epoch names the record it was given for, and that record is running.
pub(super) fn ticket_fits(issued: u64, found: u64, place: Place) -> bool {
    issued == found && place == Place::Running
}

/// Every invariant that needs a walk over the structures.
pub(super) fn check<T>(engine: &Engine<T>) -> Result<(), Violation> {
    lanes_are_sound(engine)?;
    ledgers_balance(engine)?;
    ring_is_sound(engine)
}

fn same<V: PartialEq + Debug>(
    invariant: &'static str,
    found: V,
    expected: V,
) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    Err(Violation {
        invariant,
        detail: format!("found {found:?}, expected {expected:?}"),
    })
}

/// What the walk over the keys of a lane finds, to be compared with the lane's own counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    ready: usize,
    running: u32,
    parked: u32,
    blocked: u32,
    records: u32,
    indexed: usize,
}

/// Each record is in exactly one queue and the oldest of each key in exactly one place.
fn lanes_are_sound<T>(engine: &Engine<T>) -> Result<(), Violation> {
    let mut reached = 0;
    for (number, lane) in (0..).zip(&engine.lanes) {
        let found = walk(engine, number)?;
        reached += found.records as usize;
        let counted = Found {
            ready: lane.ready.len(),
            running: lane.running,
            parked: lane.parked,
            blocked: lane.blocked,
            records: lane.records,
            indexed: lane.index.len(),
        };
        same(
            "a key is in one place, a record in one queue",
            found,
            counted,
        )?;
        ready_list_is_sound(engine, number)?;
    }
    same("no record is lost or doubled", reached, engine.nodes.live())
}

fn walk<T>(engine: &Engine<T>, number: u8) -> Result<Found, Violation> {
    let mut found = Found::default();
    for (at, node) in engine.nodes.iter().filter(|(_, node)| node.lane == number) {
        match node.place {
            Place::Free | Place::Behind => continue,
            Place::Ready => found.ready += 1,
            Place::Running => found.running += 1,
            Place::Parked => found.parked += 1,
            Place::Blocked => found.blocked += 1,
        }
        found.indexed += usize::from(node.keyed);
        let known = node.keyed.then_some(at);
        same(
            "the index leads to the oldest record of a key",
            engine.lanes[usize::from(number)]
                .index
                .find(&engine.nodes, node.hash)
                .filter(|_| node.keyed),
            known,
        )?;
        found.records += walk_queue(engine, at)?;
    }
    Ok(found)
}

/// Records of a key: in log order, open, all but the oldest behind it.
fn walk_queue<T>(engine: &Engine<T>, oldest: u32) -> Result<u32, Violation> {
    let head = &engine.nodes[oldest];
    let (mut at, mut last, mut records) = (oldest, NIL, 0);
    while at != NIL {
        let node = &engine.nodes[at];
        let behind = node.place == Place::Behind;
        same("only the oldest record of a key runs", behind, at != oldest)?;
        same(
            "a record is in the queue of its key and lane",
            (node.hash, node.keyed, node.lane),
            (head.hash, head.keyed, head.lane),
        )?;
        same(
            "an open record is not committed",
            engine.ring.is_done(node.sequence),
            false,
        )?;
        let older = (last != NIL).then(|| engine.nodes[last].sequence);
        same(
            "a key keeps log order",
            older.is_none_or(|older| older < node.sequence),
            true,
        )?;
        (last, at, records) = (at, node.next, records + 1);
    }
    same("a key knows its last record", head.tail, last)?;
    Ok(records)
}

/// The ready list holds keys that are ready, each once.
fn ready_list_is_sound<T>(engine: &Engine<T>, number: u8) -> Result<(), Violation> {
    let ready = &engine.lanes[usize::from(number)].ready;
    let mut listed: Vec<u32> = ready.iter().copied().collect();
    listed.sort_unstable();
    listed.dedup();
    same(
        "a key is in the ready list at most once",
        listed.len(),
        ready.len(),
    )?;
    let sound = |at: &&u32| {
        let node = &engine.nodes[**at];
        node.place == Place::Ready && node.lane == number
    };
    same(
        "the ready list holds ready keys",
        listed.iter().filter(sound).count(),
        listed.len(),
    )
}

/// What is held is what the records were charged; the retry times are those of the parked keys.
fn ledgers_balance<T>(engine: &Engine<T>) -> Result<(), Violation> {
    let live = || {
        engine
            .nodes
            .iter()
            .map(|(_, node)| node)
            .filter(|n| n.place != Place::Free)
    };
    let bytes: u64 = live().map(|node| node.charge).sum();
    same("charges add up", engine.held.bytes(), bytes)?;
    same(
        "records add up",
        engine.held.records(),
        live().count() as u64,
    )?;
    let parked: usize = engine.lanes.iter().map(|lane| lane.parked as usize).sum();
    same("a parked key has one retry time", engine.due.len(), parked)
}

/// The watermark is contiguous and below everything open; an ended epoch leaves nothing.
fn ring_is_sound<T>(engine: &Engine<T>) -> Result<(), Violation> {
    let (watermark, open) = (engine.watermark(), engine.ring.oldest_open());
    let below = commit_is_below_open(watermark, open);
    same("the commit is below what is open", below, true)?;
    let span = engine.ring.span();
    same(
        "the commit is not above the watermark",
        span.min(engine.ring.window()),
        span,
    )?;
    if engine.state == State::Idle {
        same("an ended epoch leaves nothing", engine.nodes.live(), 0)?;
    }
    Ok(())
}
