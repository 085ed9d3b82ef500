//! One group: the effects of many records in one transaction.
//! Layer: shell

use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;

use super::{
    applied::{Freshness, LastApplied},
    counts::Counts,
    schema::{Blame, blame},
};
use crate::sinks::{
    Action, Change, Effect, Guard, Provenance, Reply, UpsertReply, document::apply_changes,
};

/// Longest body of an upserted document, bytes; the same as MongoDB's.
const MAX_BODY: usize = 16 << 20;

const CREATE: &str = "INSERT INTO events
    (idx, id, document, generation, topic, partition, offset)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
const CREATOR: &str = "SELECT generation = ?3 AND topic = ?4 AND partition = ?5 AND offset = ?6
    FROM events WHERE idx = ?1 AND id = ?2";
const DUPLICATE: &str = "INSERT INTO duplicates
    (idx, id, generation, topic, partition, offset)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
const DOCUMENT: &str = "SELECT body, applied FROM documents WHERE collection = ?1 AND id = ?2";
const NEW_DOCUMENT: &str = "INSERT INTO documents (collection, id, body, applied)
    VALUES (?1, ?2, ?3, ?4)";
const CHANGE_DOCUMENT: &str = "UPDATE documents SET body = ?3, applied = ?4
    WHERE collection = ?1 AND id = ?2";
const MEMBER: &str = "INSERT INTO members
    (set_name, member, generation, topic, partition, offset)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
const ADDER: &str = "SELECT generation = ?3 AND topic = ?4 AND partition = ?5 AND offset = ?6
    FROM members WHERE set_name = ?1 AND member = ?2";
const REDELIVERED: &str = "INSERT INTO redelivered (stage, count) VALUES (?1, ?2)
    ON CONFLICT DO UPDATE SET count = count + excluded.count";

/// Why an effect or its whole group failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The effect alone; it has changed nothing.
    Record(String),
    /// Another process holds the write lock: the group.
    Busy(String),
    /// The file is full, read-only, damaged or gone: the group.
    File(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match blame(&error) {
            Blame::Record => Self::Record(reason),
            Blame::Lock => Self::Busy(reason),
            Blame::File => Self::File(reason),
        }
    }
}

/// Provenance as columns.
pub(super) struct Origin<'e> {
    pub(super) generation: i64,
    pub(super) topic: &'e str,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl<'e> Origin<'e> {
    /// The columns of a provenance; a generation beyond 63 bits is refused.
    pub(super) fn of(provenance: &'e Provenance) -> Result<Self, Fault> {
        let generation = i64::try_from(provenance.generation).map_err(|_| {
            let generation = provenance.generation;
            Fault::Record(format!("generation {generation} is above {}", i64::MAX))
        })?;
        let position = provenance.position;
        let partition = position.partition.partition;
        Ok(Self {
            generation,
            topic: &provenance.topic,
            partition,
            offset: position.offset,
        })
    }
}

/// An open transaction; dropped without [`Group::commit`] it leaves no trace.
pub(super) struct Group<'c> {
    transaction: Transaction<'c>,
    counts: Counts,
    redelivered: HashMap<Arc<str>, i64>,
}

impl<'c> Group<'c> {
    /// Takes the write lock, so that what is read stays true until the commit.
    pub(super) fn begin(connection: &'c Connection) -> Result<Self, Fault> {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        Ok(Self {
            transaction,
            counts: Counts::default(),
            redelivered: HashMap::new(),
        })
    }

    /// Applies one effect. A fault of the record has changed nothing: every effect checks first
    /// and writes with one statement.
    pub(super) fn apply(&mut self, effect: &Effect) -> Result<Reply, Fault> {
        let (reply, freshness) = match &effect.action {
            Action::Create {
                index,
                id,
                document,
            } => self.create(effect, (index, id), document)?,
            Action::Upsert {
                collection,
                id,
                changes,
                guard,
                reply,
            } => self.upsert(effect, (collection, id), changes, (*guard, *reply))?,
            Action::Count {
                collection,
                id,
                amounts,
            } => {
                let target = (collection, id.as_str());
                let freshness = self
                    .counts
                    .add(&self.transaction, effect, target, amounts)?;
                (applied(freshness), freshness)
            }
            Action::Unique { set, member, .. } => self.unique(effect, set, member)?,
        };
        if freshness == Freshness::Redelivered {
            *self.redelivered.entry_ref(&effect.stage).or_insert(0) += 1;
        }
        Ok(reply)
    }

    /// Writes what was held back and commits; only now may replies go out.
    pub(super) fn commit(self) -> Result<(), Fault> {
        self.counts.flush(&self.transaction)?;
        let mut count = self.transaction.prepare_cached(REDELIVERED)?;
        for (stage, times) in &self.redelivered {
            count.execute((stage, times))?;
        }
        drop(count);
        Ok(self.transaction.commit()?)
    }

    fn create(
        &self,
        effect: &Effect,
        (index, id): (&str, &str),
        document: &[u8],
    ) -> Result<(Reply, Freshness), Fault> {
        let Origin {
            generation,
            topic,
            partition,
            offset,
        } = Origin::of(&effect.provenance)?;
        let document = std::str::from_utf8(document)
            .map_err(|_| Fault::Record("document is not UTF-8".to_owned()))?;
        let mut create = self.transaction.prepare_cached(CREATE)?;
        let row = params![index, id, document, generation, topic, partition, offset];
        if create.execute(row)? == 1 {
            return Ok((Reply::Applied, Freshness::New));
        }
        let row = params![index, id, generation, topic, partition, offset];
        let mut creator = self.transaction.prepare_cached(CREATOR)?;
        if creator.query_row(row, |row| row.get(0))? {
            return Ok((Reply::Redelivered, Freshness::Redelivered));
        }
        let noted = self.transaction.prepare_cached(DUPLICATE)?.execute(row)?;
        Ok((Reply::Duplicate, fresh_if_changed(noted)))
    }

    fn upsert(
        &self,
        effect: &Effect,
        (collection, id): (&str, &str),
        changes: &[Change],
        (guard, wanted): (Guard, UpsertReply),
    ) -> Result<(Reply, Freshness), Fault> {
        let stored = self.document(collection, id)?;
        let write = if stored.is_some() {
            CHANGE_DOCUMENT
        } else {
            NEW_DOCUMENT
        };
        let (before, mut last) = stored.map_or_else(Default::default, |(b, l)| (Some(b), l));
        let freshness = match guard {
            Guard::Offset => last.advance(effect),
            Guard::LastWriter => Freshness::New,
        };
        let body = match (freshness, before) {
            (Freshness::Redelivered, Some(body)) => body,
            (_, before) => {
                let body = apply_changes(before, changes).map_err(record)?;
                let text = serde_json::to_string(&body).map_err(record)?;
                check_length(&text)?;
                let last = serde_json::to_string(&last).map_err(record)?;
                let mut write = self.transaction.prepare_cached(write)?;
                write.execute((collection, id, text, last))?;
                body
            }
        };
        match wanted {
            UpsertReply::Document => Ok((Reply::Document(body), freshness)),
            UpsertReply::Nothing => Ok((applied(freshness), freshness)),
        }
    }

    fn document(&self, collection: &str, id: &str) -> Result<Option<(Value, LastApplied)>, Fault> {
        let mut read = self.transaction.prepare_cached(DOCUMENT)?;
        let parsed = read
            .query_row((collection, id), |row| {
                let (body, last) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
                let body = serde_json::from_str(body);
                Ok(body.and_then(|body| Ok((body, serde_json::from_str(last)?))))
            })
            .optional()?;
        parsed.transpose().map_err(record)
    }

    fn unique(
        &self,
        effect: &Effect,
        set: &str,
        member: &[u8],
    ) -> Result<(Reply, Freshness), Fault> {
        let Origin {
            generation,
            topic,
            partition,
            offset,
        } = Origin::of(&effect.provenance)?;
        let row = params![set, member, generation, topic, partition, offset];
        if self.transaction.prepare_cached(MEMBER)?.execute(row)? == 1 {
            return Ok((Reply::Member { first: true }, Freshness::New));
        }
        let mut adder = self.transaction.prepare_cached(ADDER)?;
        match adder.query_row(row, |row| row.get(0))? {
            true => Ok((Reply::Member { first: true }, Freshness::Redelivered)),
            false => Ok((Reply::Member { first: false }, Freshness::New)),
        }
    }
}

fn applied(freshness: Freshness) -> Reply {
    match freshness {
        Freshness::New => Reply::Applied,
        Freshness::Redelivered => Reply::Redelivered,
    }
}

fn fresh_if_changed(rows: usize) -> Freshness {
    match rows {
        0 => Freshness::Redelivered,
        _ => Freshness::New,
    }
}

fn check_length(body: &str) -> Result<(), Fault> {
    let length = body.len();
    match length {
        ..=MAX_BODY => Ok(()),
        _ => Err(Fault::Record(format!(
            "document of {length} bytes, legal are {MAX_BODY}"
        ))),
    }
}

fn record(error: impl std::fmt::Display) -> Fault {
    Fault::Record(error.to_string())
}
