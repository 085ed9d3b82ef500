//! What must always hold, as named predicates: asserted by the engine, checked by the tests.
//! Layer: core

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
pub(super) fn ticket_fits(same_record: bool, place: Place) -> bool {
    same_record && place == Place::Running
}

/// Every invariant that needs a walk over the structures.
pub(super) fn check<T>(engine: &Engine<T>) -> Result<(), Violation> {
    lanes_are_sound(engine)?;
    ledgers_balance(engine)?;
    ring_is_sound(engine)
}

fn ensure(
    holds: bool,
    invariant: &'static str,
    detail: impl Fn() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation {
            invariant,
            detail: detail(),
        })
    }
}

/// What the walk over the keys of a lane finds, in the order of [`Lane`]'s own counts.
#[derive(Default, PartialEq, Eq)]
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
        let counted = Found {
            ready: lane.ready,
            running: lane.running,
            parked: lane.parked,
            blocked: lane.blocked,
            records: lane.records,
            indexed: lane.index.len(),
        };
        ensure(
            found == counted,
            "a key is in one phase, a record in one queue",
            || {
                format!(
                    "lane {number}: found {}, counted {}",
                    found.show(),
                    counted.show()
                )
            },
        )?;
        let listed = ready_list(lane);
        ensure(
            listed == lane.ready,
            "a key is in the ready list at most once",
            || format!("lane {number}: listed {listed}, counted {}", lane.ready),
        )?;
        reached += found.records as usize;
    }
    let live = engine.nodes.live();
    ensure(reached == live, "no record is lost or doubled", || {
        format!("reached {reached}, live {live}")
    })
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
        ensure(queue.head != NIL, "a key without records is freed", || {
            format!("lane {number}")
        })?;
        let (mut node, mut last) = (queue.head, None);
        while node != NIL {
            let cell = &engine.nodes[node];
            let runs = queue.phase == Phase::Running && node == queue.head;
            let place = if runs { Place::Running } else { Place::Waiting };
            let shown = || {
                format!(
                    "lane {number}: sequence {} is {:?}",
                    cell.sequence, cell.place
                )
            };
            ensure(cell.place == place, "only the head of a key runs", shown)?;
            ensure(last < Some(cell.sequence), "a key keeps log order", shown)?;
            let named = cell.queue == at && usize::from(cell.lane) == number;
            ensure(named, "a record is in the queue it names", shown)?;
            let open = !engine.ring.is_done(cell.sequence);
            ensure(open, "a record in a queue is not committed", shown)?;
            last = Some(cell.sequence);
            found.records += 1;
            node = cell.next;
        }
    }
    Ok(found)
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
    ensure(bytes == engine.held.bytes(), "charges add up", || {
        format!("found {bytes}, held {}", engine.held.bytes())
    })?;
    let records = live().count() as u64;
    ensure(records == engine.held.records(), "records add up", || {
        format!("found {records}, held {}", engine.held.records())
    })?;
    let parked: usize = engine.lanes.iter().map(|lane| lane.parked as usize).sum();
    ensure(
        parked == engine.due.len(),
        "a parked key has one retry time",
        || format!("parked {parked}, due {}", engine.due.len()),
    )
}

/// The watermark is contiguous and below everything open.
fn ring_is_sound<T>(engine: &Engine<T>) -> Result<(), Violation> {
    let (watermark, open) = (engine.watermark(), engine.ring.oldest_open());
    ensure(
        commit_is_below_open(watermark, open),
        "the commit is below what is open",
        || format!("watermark {watermark:?}, open {open:?}"),
    )?;
    let ring = &engine.ring;
    ensure(
        ring.span() <= ring.window(),
        "the watermark is not behind the commit",
        || format!("span {}, window {}", ring.span(), ring.window()),
    )?;
    let idle = engine.state == State::Idle;
    let empty = engine.nodes.live() == 0 && engine.held.records() == 0;
    ensure(!idle || empty, "an ended epoch leaves nothing", || {
        format!("{} records", engine.held.records())
    })
}

impl Found {
    fn show(&self) -> String {
        let Self {
            ready,
            running,
            parked,
            blocked,
            records,
            indexed,
        } = self;
        format!("{ready}+{running}+{parked}+{blocked} keys, {records} records, {indexed} indexed")
    }
}
