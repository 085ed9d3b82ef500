//! Reads what came out, the output topic and the embedded sink's file, and hands it to the oracle.
//! Layer: shell

use std::{path::Path, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use rusqlite::{Connection, OpenFlags};

use crate::{
    interrupt::{self, Interrupted},
    ledger::Ledger,
    oracle::{
        history::{Findings, History, Occurrence},
        sink::{SinkCheck, SinkFindings, Visit},
    },
    topics::{self, TopicError},
};

const SILENCE: Duration = Duration::from_secs(20);

/// Why there is no observation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    #[error(transparent)]
    Client(#[from] TopicError),
    #[error("output offset {offset} has no readable header {header}")]
    Provenance { offset: i64, header: &'static str },
    #[error("output ended at {at} of {records} records")]
    Ended { at: u64, records: u64 },
    #[error("read the sink's file")]
    File(#[from] rusqlite::Error),
    #[error("body of document {id} in the sink")]
    Body {
        id: String,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Reads the single partition of `topic` up to `records` and closes the books.
pub(crate) fn output(
    bootstrap: &str,
    topic: &str,
    records: u64,
    ledger: &Ledger,
) -> Result<Findings, ObserveError> {
    let consumer = reader(bootstrap, topic)?;
    let mut history = History::new(ledger);
    let mut seen = 0;
    while seen < records {
        interrupt::check()?;
        let Some(message) = consumer.poll(SILENCE) else {
            return Err(ObserveError::Ended { at: seen, records });
        };
        let message = message.map_err(topics::client("read the output"))?;
        history.observe(&occurrence(&message)?);
        // Records of aborted transactions leave holes, so the position counts, not the records.
        seen = u64::try_from(message.offset()).unwrap_or(0) + 1;
    }
    Ok(history.finish())
}

fn reader(bootstrap: &str, topic: &str) -> Result<BaseConsumer, TopicError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "e2e-reader")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "65536")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .map_err(topics::client("output reader"))?;
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, 0, Offset::Beginning)
        .and_then(|()| consumer.assign(&assignment))
        .map_err(topics::client("assign the output"))?;
    Ok(consumer)
}

fn occurrence<'a>(message: &'a BorrowedMessage<'a>) -> Result<Occurrence<'a>, ObserveError> {
    let number = |header: &'static str| {
        let found = message.headers().and_then(|headers| {
            headers
                .iter()
                .find(|h| h.key == header)
                .and_then(|h| h.value)
        });
        let text = found.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let offset = message.offset();
        text.and_then(|t| t.parse::<u64>().ok())
            .ok_or(ObserveError::Provenance { offset, header })
    };
    Ok(Occurrence {
        partition: u32::try_from(number("penstock-partition")?).unwrap_or(u32::MAX),
        offset: number("penstock-offset")?,
        incarnation: number("penstock-generation")?,
        key: message.key().unwrap_or_default(),
        value: message.payload().unwrap_or_default(),
    })
}

/// Reads the tables of the embedded sink.
pub(crate) fn sink(file: &Path, ledger: &Ledger) -> Result<SinkFindings, ObserveError> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut check = SinkCheck::new(ledger);
    let mut events = connection.prepare("SELECT id, partition, offset FROM events ORDER BY seq")?;
    let mut rows = events.query([])?;
    while let Some(row) = rows.next()? {
        let offset = row.get::<_, i64>(2)?.unsigned_abs();
        check.event(
            row.get_ref(0)?.as_str().unwrap_or_default(),
            row.get(1)?,
            offset,
        );
    }
    let mut documents =
        connection.prepare("SELECT id, body FROM documents WHERE collection = 'visits'")?;
    let mut rows = documents.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let visit = visit(&row.get::<_, String>(1)?).map_err(|source| ObserveError::Body {
            id: id.clone(),
            source,
        })?;
        check.visit(&id, visit);
    }
    let mut counters = connection
        .prepare("SELECT id, field, value FROM counters WHERE collection = 'products'")?;
    let mut rows = counters.query([])?;
    while let Some(row) = rows.next()? {
        let (id, field): (String, String) = (row.get(0)?, row.get(1)?);
        check.counter(&id, &field, row.get(2)?);
    }
    Ok(check.finish())
}

/// How often the sink found an effect applied by an earlier delivery, for the stage that sees
/// every record.
pub(crate) fn redelivered(file: &Path) -> Result<u64, ObserveError> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sum = "SELECT coalesce(sum(count), 0) FROM redelivered WHERE stage = 'index'";
    Ok(connection
        .query_row(sum, [], |row| row.get::<_, i64>(0))?
        .unsigned_abs())
}

fn visit(body: &str) -> Result<Visit, serde_json::Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        events: u64,
        last_sequence: u64,
    }
    let body: Body = serde_json::from_str(body)?;
    Ok(Visit {
        events: body.events,
        last_sequence: body.last_sequence,
    })
}
