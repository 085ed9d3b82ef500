//! Counters that take every record once: increments of a group are added up, then written once.
//! Layer: shell

use std::sync::Arc;

use hashbrown::{HashMap, hash_map::Entry};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    applied::{Block, Freshness, block_of},
    group::{Fault, Origin},
};
use crate::sinks::Effect;

const LANE: &str = "SELECT lane, floor FROM lanes
    WHERE stage = ?1 AND topic = ?2 AND partition = ?3 AND generation = ?4";
const NEW_LANE: &str = "INSERT INTO lanes (stage, topic, partition, generation, floor)
    VALUES (?1, ?2, ?3, ?4, 0)";
const RAISE_FLOOR: &str = "UPDATE lanes SET floor = ?2 WHERE lane = ?1";
const BLOCK: &str = "SELECT offsets FROM applied WHERE lane = ?1 AND block = ?2";
const WRITE_BLOCK: &str = "INSERT INTO applied (lane, block, offsets) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET offsets = excluded.offsets";
const DROP_BLOCKS: &str = "DELETE FROM applied WHERE lane = ?1 AND block < ?2";
const COUNTER: &str = "SELECT value FROM counters
    WHERE collection = ?1 AND id = ?2 AND field = ?3";
const WRITE_COUNTER: &str = "INSERT INTO counters (collection, id, field, value)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET value = excluded.value";

/// What one group has read and changed of counters and of the records applied to them.
///
/// It lives as long as its transaction, so another process cannot make it stale.
#[derive(Default)]
pub(super) struct Counts {
    counters: HashMap<CounterKey, Tracked<i64>>,
    lanes: HashMap<LaneKey, Lane>,
}

/// Collection, id, field.
type CounterKey = (Arc<str>, String, Arc<str>);

/// Stage, topic, partition, generation.
type LaneKey = (Arc<str>, Arc<str>, i32, i64);

/// A value as the file has it, or newer.
struct Tracked<T> {
    value: T,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Clean,
    Dirty,
}

/// A counting stage's view of one partition in one generation.
struct Lane {
    lane: i64,
    floor: Tracked<i64>,
    blocks: HashMap<i64, Tracked<Block>>,
}

impl Counts {
    /// Adds the amounts unless this record has added them before; all of them or none.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        effect: &Effect,
        target: (&Arc<str>, &str),
        amounts: &[(Arc<str>, i64)],
    ) -> Result<Freshness, Fault> {
        let origin = Origin::of(&effect.provenance)?;
        let lane = lane(&mut self.lanes, connection, effect, &origin)?;
        if lane.freshness(connection, origin.offset)? == Freshness::Redelivered {
            return Ok(Freshness::Redelivered);
        }
        sum(&mut self.counters, connection, target, amounts)?;
        lane.mark(origin.offset, effect.provenance.floor);
        Ok(Freshness::New)
    }

    /// Writes what changed.
    pub(super) fn flush(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut write = connection.prepare_cached(WRITE_COUNTER)?;
        for ((collection, id, field), counter) in &self.counters {
            if counter.state == State::Dirty {
                write.execute(params![collection, id, field, counter.value])?;
            }
        }
        self.lanes
            .values()
            .try_for_each(|lane| lane.flush(connection))
    }
}

/// Adds all amounts, or none when one of them overflows.
fn sum(
    counters: &mut HashMap<CounterKey, Tracked<i64>>,
    connection: &Connection,
    (collection, id): (&Arc<str>, &str),
    amounts: &[(Arc<str>, i64)],
) -> Result<(), Fault> {
    let key = |field: &Arc<str>| (Arc::clone(collection), id.to_owned(), Arc::clone(field));
    let mut added = Vec::with_capacity(amounts.len());
    for (field, amount) in amounts {
        let counter = match counters.entry(key(field)) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => {
                let value = read_counter(connection, collection, id, field)?;
                vacant.insert(Tracked {
                    value,
                    state: State::Clean,
                })
            }
        };
        let Some(value) = counter.value.checked_add(*amount) else {
            for (field, amount) in added {
                counters
                    .entry(key(field))
                    .and_modify(|counter| counter.value -= amount);
            }
            let reason = format!("counter {field} would leave the range of a 64-bit integer");
            return Err(Fault::Record(reason));
        };
        *counter = Tracked {
            value,
            state: State::Dirty,
        };
        added.push((field, *amount));
    }
    Ok(())
}

fn read_counter(
    connection: &Connection,
    collection: &str,
    id: &str,
    field: &str,
) -> rusqlite::Result<i64> {
    let mut read = connection.prepare_cached(COUNTER)?;
    let value = read
        .query_row((collection, id, field), |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

fn lane<'l>(
    lanes: &'l mut HashMap<LaneKey, Lane>,
    connection: &Connection,
    effect: &Effect,
    origin: &Origin<'_>,
) -> rusqlite::Result<&'l mut Lane> {
    let topic = &effect.provenance.topic;
    let key = (
        Arc::clone(&effect.stage),
        Arc::clone(topic),
        origin.partition,
        origin.generation,
    );
    match lanes.entry(key) {
        Entry::Occupied(occupied) => Ok(occupied.into_mut()),
        Entry::Vacant(vacant) => {
            let (stage, topic, partition, generation) = vacant.key();
            let named = (&**stage, &**topic, partition, generation);
            let found = connection
                .prepare_cached(LANE)?
                .query_row(named, |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (lane, floor) = match found {
                Some(found) => found,
                None => (connection.prepare_cached(NEW_LANE)?.insert(named)?, 0),
            };
            let floor = Tracked {
                value: floor,
                state: State::Clean,
            };
            Ok(vacant.insert(Lane {
                lane,
                floor,
                blocks: HashMap::new(),
            }))
        }
    }
}

impl Lane {
    /// Whether the record at this offset has been counted; loads its block.
    fn freshness(&mut self, connection: &Connection, offset: i64) -> Result<Freshness, Fault> {
        if offset < self.floor.value {
            return Ok(Freshness::Redelivered);
        }
        let number = block_of(offset);
        let block = match self.blocks.entry(number) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => {
                let value = read_block(connection, self.lane, number)?;
                vacant.insert(Tracked {
                    value,
                    state: State::Clean,
                })
            }
        };
        match block.value.contains(offset) {
            true => Ok(Freshness::Redelivered),
            false => Ok(Freshness::New),
        }
    }

    /// Remembers the record; its block has been loaded by [`Lane::freshness`].
    fn mark(&mut self, offset: i64, floor: i64) {
        let block = self.blocks.entry(block_of(offset));
        block.and_modify(|block| {
            block.value.insert(offset);
            block.state = State::Dirty;
        });
        if floor > self.floor.value {
            self.floor = Tracked {
                value: floor,
                state: State::Dirty,
            };
        }
    }

    fn flush(&self, connection: &Connection) -> rusqlite::Result<()> {
        let lowest = block_of(self.floor.value);
        let mut write = connection.prepare_cached(WRITE_BLOCK)?;
        for (number, block) in &self.blocks {
            if block.state == State::Dirty && *number >= lowest {
                write.execute((self.lane, number, block.value.as_bytes()))?;
            }
        }
        if self.floor.state == State::Dirty {
            connection
                .prepare_cached(RAISE_FLOOR)?
                .execute((self.lane, self.floor.value))?;
            connection
                .prepare_cached(DROP_BLOCKS)?
                .execute((self.lane, lowest))?;
        }
        Ok(())
    }
}

fn read_block(connection: &Connection, lane: i64, number: i64) -> Result<Block, Fault> {
    let mut read = connection.prepare_cached(BLOCK)?;
    let found = read
        .query_row((lane, number), |row| {
            Ok(row.get_ref(0)?.as_blob().map(Block::from_bytes)?)
        })
        .optional()?;
    match found {
        None => Ok(Block::empty()),
        Some(Some(block)) => Ok(block),
        Some(None) => Err(Fault::File(
            "table applied holds a row of a wrong length".to_owned(),
        )),
    }
}
