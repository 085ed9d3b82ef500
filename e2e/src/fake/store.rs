//! The stand-in's embedded sink: a batch is a transaction, a floor makes its repeat harmless.
//! Layer: shell

use std::time::Duration;

use rdkafka::message::{Message, OwnedMessage};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::Deserialize;

use super::Fault;

/// The tables of the processor's own embedded sink that the oracle reads, and the floors.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, idx TEXT, id TEXT, document TEXT,
    generation INTEGER, topic TEXT, partition INTEGER, offset INTEGER, UNIQUE (idx, id));
CREATE TABLE IF NOT EXISTS documents (collection TEXT, id TEXT, body TEXT, applied TEXT,
    PRIMARY KEY (collection, id));
CREATE TABLE IF NOT EXISTS counters (collection TEXT, id TEXT, field TEXT, value INTEGER,
    PRIMARY KEY (collection, id, field));
CREATE TABLE IF NOT EXISTS redelivered (stage TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS floors (partition INTEGER PRIMARY KEY, next INTEGER);
";
const CREATE: &str = "INSERT INTO events (idx, id, document, generation, topic, partition, offset)
    VALUES ('events', ?1, '', 0, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
const VISIT: &str = "INSERT INTO documents VALUES
    ('visits', ?1, json_object('events', 1, 'lastSequence', ?2), '[]')
    ON CONFLICT DO UPDATE SET body = json_set(body, '$.lastSequence', ?2,
        '$.events', json_extract(body, '$.events') + 1)";
const COUNT: &str = "INSERT INTO counters VALUES ('products', ?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET value = value + ?3";
const REDELIVERED: &str = "INSERT INTO redelivered VALUES ('index', 1)
    ON CONFLICT DO UPDATE SET count = count + 1";
const FLOOR: &str = "INSERT INTO floors VALUES (?1, ?2)
    ON CONFLICT DO UPDATE SET next = max(next, ?2)";

/// An open file.
pub(super) struct Store {
    connection: Connection,
    fault: Fault,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    sequence: i64,
    product: &'a str,
    amount_cents: i64,
}

impl Store {
    /// Opens or creates the file.
    pub(super) fn open(path: &str, fault: Fault) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_millis(50))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection, fault })
    }

    /// All or nothing.
    pub(super) fn apply(&mut self, batch: &[OwnedMessage]) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for message in batch {
            if is_applied(&transaction, message)? {
                transaction.prepare_cached(REDELIVERED)?.execute([])?;
                continue;
            }
            if !self.fault.hits(Fault::Lose, message) {
                apply(&transaction, message, self.fault)?;
            }
            let next = params![message.partition(), message.offset() + 1];
            transaction.prepare_cached(FLOOR)?.execute(next)?;
        }
        transaction.commit()
    }
}

fn is_applied(transaction: &Transaction<'_>, message: &OwnedMessage) -> rusqlite::Result<bool> {
    let floor = "SELECT coalesce(max(next), 0) FROM floors WHERE partition = ?1";
    let mut floor = transaction.prepare_cached(floor)?;
    let next: i64 = floor.query_row([message.partition()], |row| row.get(0))?;
    Ok(message.offset() < next)
}

fn apply(
    transaction: &Transaction<'_>,
    message: &OwnedMessage,
    fault: Fault,
) -> rusqlite::Result<()> {
    let key = std::str::from_utf8(message.key().unwrap_or_default()).unwrap_or_default();
    let body = serde_json::from_slice(message.payload().unwrap_or_default());
    let body: Body<'_> = body.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let (partition, offset) = (message.partition(), message.offset());
    let row = params![body.id, message.topic(), partition, offset];
    if transaction.prepare_cached(CREATE)?.execute(row)? == 0 {
        return Ok(());
    }
    transaction
        .prepare_cached(VISIT)?
        .execute(params![key, body.sequence])?;
    let times = if fault.hits(Fault::Repeat, message) {
        2
    } else {
        1
    };
    for _ in 0..times {
        let mut count = transaction.prepare_cached(COUNT)?;
        count.execute(params![body.product, "views", 1])?;
        count.execute(params![body.product, "revenueCents", body.amount_cents])?;
    }
    Ok(())
}
