//! Reads the embedded sink's file for the audit. All SQL of the demo is in this file.
//! Layer: shell

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::audit::{Audit, EventRow};

/// Why the file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// SQLite refused.
    #[error("failed to read the embedded sink {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// Shows every row of the file to the audit; the file is opened read-only.
///
/// # Errors
/// When the file is missing, or is not the embedded sink's.
pub fn read(path: &Path, audit: &mut Audit<'_>) -> Result<(), SinkError> {
    read_tables(path, audit).map_err(|source| SinkError::Sqlite {
        path: path.to_owned(),
        source,
    })
}

fn read_tables(path: &Path, audit: &mut Audit<'_>) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags)?;
    each(
        &file,
        "SELECT idx, id, partition, offset FROM events ORDER BY seq",
        |row| {
            audit.event(&EventRow {
                index: row.get_ref(0)?.as_str()?,
                id: row.get_ref(1)?.as_str()?,
                partition: row.get(2)?,
                offset: row.get(3)?,
            });
            Ok(())
        },
    )?;
    each(&file, "SELECT partition, offset FROM duplicates", |row| {
        audit.duplicate(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    each(&file, "SELECT collection, id, body FROM documents", |row| {
        // a body that is no JSON differs from every document of the reference
        let body = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or(Value::Null);
        audit.document(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, &body);
        Ok(())
    })?;
    each(
        &file,
        "SELECT collection, id, field, value FROM counters",
        |row| {
            let [collection, id, field] = [row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?];
            audit.counter(
                collection.as_str()?,
                id.as_str()?,
                field.as_str()?,
                row.get(3)?,
            );
            Ok(())
        },
    )?;
    each(&file, "SELECT set_name, member FROM members", |row| {
        audit.member(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_bytes()?);
        Ok(())
    })?;
    each(&file, "SELECT stage, count FROM redelivered", |row| {
        let count: i64 = row.get(1)?;
        audit.redelivered(row.get_ref(0)?.as_str()?, count.unsigned_abs());
        Ok(())
    })
}

fn each(
    file: &Connection,
    query: &str,
    mut show: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = file.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        show(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
