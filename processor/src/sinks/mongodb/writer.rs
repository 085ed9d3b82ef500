//! Writes groups with `update` and `insert` commands, and looks at what was there already.
//! Layer: shell

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bson::{Document, RawDocumentBuf, doc};
use futures::future::{BoxFuture, join_all};

use super::{
    batch::{Batch, Batches, Part, found, lookup, write_concern},
    blame::{Blame, blame, outcome},
    connection::{Connection, Failure},
    update::{self, Standing, standing},
    values::{object, record, unavailable},
};
use crate::sinks::{
    Action, Effect, Guard, Reply, SinkError,
    grouped::{GroupWriter, Refusal, Verdict, Written},
    origin::FIELD,
};

/// Tries of one update whose document comes and goes.
const TRIES: usize = 5;

const CAME_AND_WENT: &str = "the document came and went";

/// The writer of the groups.
pub(super) struct Writer(pub(super) Arc<Connection>);

impl GroupWriter for Writer {
    fn write<'a>(&'a mut self, group: &'a [Effect], deadline: Instant) -> BoxFuture<'a, Written> {
        Box::pin(write(&self.0, group, deadline))
    }
}

async fn write(connection: &Connection, group: &[Effect], deadline: Instant) -> Written {
    let mut batches = Batches::of(group);
    let wrong = std::mem::take(&mut batches.wrong).into_iter();
    let mut verdicts: BTreeMap<_, _> = wrong
        .map(|(place, error)| (place, Verdict::Answer(Err(error))))
        .collect();
    let batches = batches.finish();
    let written = batches
        .iter()
        .map(|batch| write_batch(connection, (batch, group), deadline));
    for (batch, written) in batches.iter().zip(join_all(written).await) {
        match written {
            Ok(each) => verdicts.extend(batch.places.iter().copied().zip(each)),
            Err(refusal) => return Written::Refused(refusal),
        }
    }
    Written::Each(verdicts.into_values().collect())
}

/// A verdict for each statement of a batch, or the refusal of all of it.
async fn write_batch(
    connection: &Connection,
    (batch, group): (&Batch<'_>, &[Effect]),
    deadline: Instant,
) -> Result<Vec<Verdict>, Refusal> {
    let outcome = match send(connection, batch, deadline).await {
        Ok(outcome) => outcome,
        Err(SinkError::Record { reason }) => return Err(Refusal::Content(reason)),
        Err(SinkError::Unavailable { reason } | SinkError::Elsewhere { reason, .. }) => {
            let failed = || Verdict::Answer(Err(unavailable(&reason)));
            return Ok(std::iter::repeat_with(failed)
                .take(batch.places.len())
                .collect());
        }
    };
    let exist = |at: &usize| matches!(outcome.each[*at], Some(Blame::Exists));
    let ids: Vec<_> = (0..batch.ids.len())
        .filter(exist)
        .map(|at| batch.ids[at])
        .collect();
    let found = look_up(connection, (batch.collection, &ids, Part::Ours), deadline).await;
    let verdict = |(at, blame): (usize, Option<Blame>)| match blame {
        None => Verdict::Answer(match &outcome.weak {
            Some(weak) => Err(unavailable(&weak.clone().into_reason())),
            None => Ok(Reply::Applied),
        }),
        Some(Blame::Record(error) | Blame::Sink(error)) => Verdict::Answer(Err(error)),
        Some(Blame::Exists) => {
            let effect = &group[batch.places[at]];
            match &found {
                Ok(found) => stood(standing(effect, found.get(batch.ids[at]))),
                Err(error) => Verdict::Answer(Err(unavailable(&error.clone().into_reason()))),
            }
        }
    };
    Ok(outcome.each.into_iter().enumerate().map(verdict).collect())
}

fn stood(standing: Standing) -> Verdict {
    match standing {
        Standing::Applied => Verdict::Answer(Ok(Reply::Redelivered)),
        Standing::Taken => Verdict::Answer(Ok(Reply::Duplicate)),
        Standing::Nothing => Verdict::Again(CAME_AND_WENT),
    }
}

/// Sends a batch and reads what came of its statements.
pub(super) async fn send(
    connection: &Connection,
    batch: &Batch<'_>,
    deadline: Instant,
) -> Result<super::blame::Outcome, SinkError> {
    let command = batch.command(patience(deadline));
    let answer = connection.run(command, deadline).await.map_err(error)?;
    Ok(outcome(&answer, batch.places.len()))
}

/// The documents with these ids; none are asked for when there are none.
pub(super) async fn look_up(
    connection: &Connection,
    (collection, ids, part): (&str, &[&str], Part),
    deadline: Instant,
) -> Result<BTreeMap<String, Document>, SinkError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let command = raw(&lookup(collection, ids, part))?;
    connection
        .run(command, deadline)
        .await
        .map(found)
        .map_err(error)
}

/// Changes one document and answers with it as it is then, or, when the record was applied
/// before, as it is today.
pub(super) async fn returning(
    connection: &Connection,
    effect: &Effect,
    deadline: Instant,
) -> Result<Reply, SinkError> {
    let Action::Upsert {
        collection,
        id,
        changes,
        guard,
        ..
    } = &effect.action
    else {
        return Err(record("only an upsert answers with a document"));
    };
    let change = update::update(effect, changes, *guard)?;
    let command = raw(&doc! {
        "findAndModify": &**collection,
        "query": update::filter(effect, id, *guard),
        "update": change,
        "upsert": true,
        "new": true,
    })?;
    for _ in 0..TRIES {
        let mut command = command.clone();
        command.append(
            bson::raw::cstr!("writeConcern"),
            write_concern(patience(deadline)),
        );
        match connection.run(command, deadline).await {
            Ok(answer) => return changed(answer),
            Err(Failure::Refused { code, message }) => match blame(code, &message) {
                Blame::Exists => {}
                Blame::Record(error) | Blame::Sink(error) => return Err(error),
            },
            Err(Failure::Sink(error)) => return Err(error),
        }
        let ids = [id.as_str()];
        let mut found = look_up(connection, (collection, &ids, Part::Whole), deadline).await?;
        let found = found.remove(id);
        if *guard == Guard::Offset && standing(effect, found.as_ref()) == Standing::Applied {
            return Ok(Reply::Document(plain(found.unwrap_or_default())));
        }
    }
    Err(unavailable(CAME_AND_WENT))
}

fn changed(mut answer: Document) -> Result<Reply, SinkError> {
    if let Some(weak) = outcome(&answer, 0).weak {
        return Err(weak);
    }
    match answer.remove("value") {
        Some(bson::Bson::Document(document)) => Ok(Reply::Document(plain(document))),
        _ => Err(unavailable("the answer has no document")),
    }
}

/// As the event's context has it: without the id, which it knows, and without what is ours.
fn plain(mut document: Document) -> serde_json::Value {
    document.remove("_id");
    document.remove(FIELD);
    object(document)
}

/// How long the server may wait for its majority.
fn patience(deadline: Instant) -> std::time::Duration {
    deadline.saturating_duration_since(tokio::time::Instant::now().into_std())
}

fn raw(command: &Document) -> Result<RawDocumentBuf, SinkError> {
    let bytes = update::encoded(command)?;
    RawDocumentBuf::from_bytes(bytes).map_err(|_| record("the change has no binary form"))
}

/// A command that failed as a whole.
fn error(failure: Failure) -> SinkError {
    match failure {
        Failure::Sink(error) => error,
        Failure::Refused { code, message } => match blame(code, &message) {
            Blame::Record(error) | Blame::Sink(error) => error,
            Blame::Exists => unavailable("write error 11000 of a whole command"),
        },
    }
}
