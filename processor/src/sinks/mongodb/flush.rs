//! Writes flushes of counters and reads them back.
//! Layer: shell

use std::{collections::BTreeMap, time::Instant};

use bson::Document;
use futures::future::join_all;

use super::{
    batch::{Batch, Batches, Part},
    blame::Blame,
    connection::Connection,
    update::{self, Aimed, Statement},
    values::unavailable,
    writer::{look_up, send},
};
use crate::sinks::{
    SinkError,
    flush_target::{Counters, Place, Row, Written},
};

type Each = Vec<Result<Written, SinkError>>;

/// Writes rows, a command for each collection.
pub(super) async fn write(connection: &Connection, rows: &[Row], deadline: Instant) -> Each {
    let mut batches = Batches::default();
    for (place, row) in rows.iter().enumerate() {
        batches.add(
            place,
            Ok(Aimed {
                collection: &row.place.collection,
                id: &row.place.id,
                statement: Statement::Update(update::flush(row)),
            }),
        );
    }
    let wrong = std::mem::take(&mut batches.wrong).into_iter();
    let mut outcomes: BTreeMap<_, _> = wrong.map(|(place, error)| (place, Err(error))).collect();
    let batches = batches.finish();
    let written = batches
        .iter()
        .map(|batch| write_batch(connection, (batch, rows), deadline));
    for (batch, each) in batches.iter().zip(join_all(written).await) {
        outcomes.extend(batch.places.iter().copied().zip(each));
    }
    outcomes.into_values().collect()
}

async fn write_batch(
    connection: &Connection,
    (batch, rows): (&Batch<'_>, &[Row]),
    deadline: Instant,
) -> Each {
    let outcome = match send(connection, batch, deadline).await {
        Ok(outcome) => outcome,
        Err(error) => return batch.ids.iter().map(|_| Err(error.clone())).collect(),
    };
    let exist = |at: &usize| matches!(outcome.each[*at], Some(Blame::Exists));
    let ids: Vec<_> = (0..batch.ids.len())
        .filter(exist)
        .map(|at| batch.ids[at])
        .collect();
    let found = look_up(connection, (batch.collection, &ids, Part::Ours), deadline).await;
    let written = |(at, blame): (usize, Option<Blame>)| match (blame, &outcome.weak) {
        (None, None) => Ok(Written::Stored),
        (None, Some(weak)) => Err(weak.clone()),
        (Some(Blame::Record(error) | Blame::Sink(error)), _) => Err(error),
        (Some(Blame::Exists), _) => match &found {
            Ok(found) => overtaken(&rows[batch.places[at]], found.get(batch.ids[at])),
            Err(error) => Err(error.clone()),
        },
    };
    outcome.each.into_iter().enumerate().map(written).collect()
}

/// The row was not written because the id exists: by a greater version, or by an insert meanwhile.
fn overtaken(row: &Row, found: Option<&Document>) -> Result<Written, SinkError> {
    match found.map(update::version) {
        Some(version) if version > row.counters.version => Ok(Written::Newer),
        _ => Err(unavailable("the document came and went")),
    }
}

/// Reads one document.
pub(super) async fn read(
    connection: &Connection,
    place: &Place,
    deadline: Instant,
) -> Result<Option<Counters>, SinkError> {
    let ids = [place.id.as_str()];
    let mut found = look_up(connection, (&place.collection, &ids, Part::Whole), deadline).await?;
    Ok(found.remove(&place.id).map(update::counters))
}
