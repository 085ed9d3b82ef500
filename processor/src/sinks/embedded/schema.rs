//! Opens the file of the embedded sink: tables, settings, and how its faults are told apart.
//! Layer: shell
//!
//! Names are stable: verdicts of the demo and of end-to-end runs read them. Provenance is always
//! `generation, topic, partition, offset`. Times do not occur.
//!
//! | table | a row is |
//! |---|---|
//! | `events(seq, idx, id, document, …)` | a created document; `seq` is the order of insertion |
//! | `duplicates(idx, id, …)` | a record that found its id taken by another record, once per record |
//! | `documents(collection, id, body, applied)` | an upserted document; `applied` is JSON: `[[stage, topic, partition, generation, offset]]` |
//! | `counters(collection, id, field, value)` | a counter |
//! | `lanes(lane, stage, topic, partition, generation, floor)` | a counting stage's view of a partition; all below `floor` is applied or will never come |
//! | `applied(lane, block, offsets)` | bits of 4,096 applied offsets from `block` × 4,096 |
//! | `members(set_name, member, …)` | a member of a set and who added it first |
//! | `redelivered(stage, count)` | how many effects were found applied by an earlier delivery |

use std::{path::Path, thread, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::sinks::SinkError;

/// Version of the tables, in `user_version`; another one is refused.
const VERSION: i64 = 1;

/// How often the lock is tried before the group is refused, and the pause between two tries.
/// 200 tries a millisecond apart: a second process that commits without rest leaves the lock free
/// often enough to be met, and an outage is noticed in 200 ms.
const LOCK_TRIES: i32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Page cache of a connection that only copies the log, which goes past the cache.
const NO_CACHE_BYTES: u64 = 64 * 1024;

const TABLES: &str = "
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, idx TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL,
    generation INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL, UNIQUE (idx, id));
CREATE TABLE duplicates (
    idx TEXT NOT NULL, id TEXT NOT NULL,
    generation INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (idx, id, generation, topic, partition, offset)) WITHOUT ROWID;
CREATE TABLE documents (
    collection TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, applied TEXT NOT NULL,
    PRIMARY KEY (collection, id)) WITHOUT ROWID;
CREATE TABLE counters (
    collection TEXT NOT NULL, id TEXT NOT NULL, field TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (collection, id, field)) WITHOUT ROWID;
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY, stage TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    generation INTEGER NOT NULL, floor INTEGER NOT NULL,
    UNIQUE (stage, topic, partition, generation));
CREATE TABLE applied (
    lane INTEGER NOT NULL, block INTEGER NOT NULL, offsets BLOB NOT NULL,
    PRIMARY KEY (lane, block)) WITHOUT ROWID;
CREATE TABLE members (
    set_name TEXT NOT NULL, member BLOB NOT NULL,
    generation INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL, PRIMARY KEY (set_name, member)) WITHOUT ROWID;
CREATE TABLE redelivered (stage TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{0}")]
    File(#[from] rusqlite::Error),
    #[error("its tables have version {found}, legal is {VERSION} or an empty file")]
    Version { found: i64 },
}

/// Opens or creates the file.
pub(super) fn open(path: &Path, page_cache_bytes: u64) -> Result<Connection, SinkError> {
    connect(path, page_cache_bytes)
        .and_then(|connection| create(&connection).map(|()| connection))
        .map_err(|error| unavailable(path, &error))
}

/// Opens another connection to a file that has its tables.
pub(super) fn open_again(path: &Path) -> Result<Connection, SinkError> {
    connect(path, NO_CACHE_BYTES).map_err(|error| unavailable(path, &error))
}

fn unavailable(path: &Path, error: &OpenError) -> SinkError {
    let reason = format!("opening {}: {error}", path.display());
    SinkError::Unavailable { reason }
}

fn connect(path: &Path, page_cache_bytes: u64) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(|tries: i32| {
        thread::sleep(LOCK_PAUSE);
        tries < LOCK_TRIES
    }))?;
    connection.set_prepared_statement_cache_capacity(32);
    set_page_cache(&connection, page_cache_bytes)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    // Never by a commit: see the checkpoints.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(connection)
}

/// Bounds the connection's page cache; a smaller one is freed at once.
pub(super) fn set_page_cache(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let kib = i64::try_from(bytes / 1024).unwrap_or(i64::MAX).max(1);
    connection.pragma_update(None, "cache_size", -kib)?;
    connection.release_memory()
}

/// Creates the tables unless they are there. A file that has them is not written to, so a locked
/// file can be opened.
fn create(connection: &Connection) -> Result<(), OpenError> {
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        // Another process was quicker.
        VERSION => {}
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        found => return Err(OpenError::Version { found }),
    }
    Ok(transaction.commit()?)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Who is to blame for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The values of one effect.
    Record,
    /// Another process that holds the write lock.
    Lock,
    /// The file: full, read-only, damaged, gone.
    File,
}

/// Tells a fault of one effect's values from a fault of the file. What is not known to be the
/// record's fault is the file's, so that no record is lost for an outage.
pub(super) fn blame(error: &rusqlite::Error) -> Blame {
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            Blame::Record
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Blame::Lock,
        _ => Blame::File,
    }
}
