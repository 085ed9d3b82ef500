//! What must always hold, as named predicates: asserted by the engine, checked by the tests.
//! Layer: core

use std::fmt::Debug;

use super::{
    engine::{Engine, State},
    key::Key,
    lane::{Lane, Phase, Place},
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
    ready: u32,
    running: u32,
    parked: u32,
    blocked: u32,
    records: u32,
    indexed: usize,
}

/// Each record is in exactly one queue and each key in exactly one phase.
fn lanes_are_sound<T>(engine: &Engine<T>) -> Result<(), Violation> {
    let mut reached = 0;
    for (number, lane) in engine.lanes.iter().enumerate() {
        let found = walk(engine, number)?;
        reached += found.records as usize;
        let counted = Found {
            ready: lane.ready,
            running: lane.running,
            parked: lane.parked,
            blocked: lane.blocked,
            records: lane.records,
            indexed: lane.index.len(),
        };
        same(
            "a key is in one phase, a record in one queue",
            found,
            counted,
        )?;
        same(
            "a key is in the ready list at most once",
            ready_list(lane),
            lane.ready,
        )?;
    }
    same("no record is lost or doubled", reached, engine.nodes.live())
}

fn walk<T>(engine: &Engine<T>, number: usize) -> Result<Found, Violation> {
    let lane = &engine.lanes[number];
    let mut found = Found::default();
    for (at, queue) in lane.queues.iter() {
        match queue.phase {
            Phase::Free => continue,
            Phase::Ready => found.ready += 1,
            Phase::Running => found.running += 1,
            Phase::Parked => found.parked += 1,
            Phase::Blocked => found.blocked += 1,
        }
        found.indexed += usize::from(queue.key != Key::Spread);
        found.records += walk_queue(engine, number, at)?;
    }
    Ok(found)
}

/// Records of a key: at least one, in log order, open, none but the head running.
fn walk_queue<T>(engine: &Engine<T>, lane: usize, at: u32) -> Result<u32, Violation> {
    let queue = &engine.lanes[lane].queues[at];
    let (mut node, mut last, mut records) = (queue.head, None, 0);
    while node != NIL {
        let cell = &engine.nodes[node];
        let runs = queue.phase == Phase::Running && node == queue.head;
        let place = if runs { Place::Running } else { Place::Waiting };
        same("only the head of a key runs", cell.place, place)?;
        same(
            "a record is in the queue it names",
            (cell.queue, usize::from(cell.lane)),
            (at, lane),
        )?;
        same(
            "an open record is not committed",
            engine.ring.is_done(cell.sequence),
            false,
        )?;
        same(
            "a key keeps log order",
            last.max(Some(cell.sequence)),
            Some(cell.sequence),
        )?;
        same(
            "a record is in its queue once",
            last == Some(cell.sequence),
            false,
        )?;
        (last, node, records) = (Some(cell.sequence), cell.next, records + 1);
    }
    same("a key without records is freed", records == 0, false)?;
    Ok(records)
}

fn ready_list(lane: &Lane) -> u32 {
    let (mut listed, mut at) = (0, lane.first_ready);
    // One more than counted is enough to tell a cycle.
    while at != NIL && listed <= lane.ready {
        listed += 1;
        at = lane.queues[at].link;
    }
    listed
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
