//! Brings changed counters to their documents: a cursor over the marks, batch by batch.
//! Layer: shell
//!
//! A batch is read, written as absolute values under the counters' versions, and only then are the
//! marks taken off, of those counters that have not changed in between. So a crash anywhere repeats
//! a batch and loses none, and at no time is more than one batch in memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::{
    Common, Fault,
    answers::{self, Read},
    counting::Counting,
    keyspace,
    scripted::{Argument, Call},
};
use crate::sinks::{
    SinkError,
    flush_target::{Place, Row, Written},
};

/// Longest step of a flush: reading, writing or clearing one batch.
const STEP: Duration = Duration::from_secs(30);

/// Flushes the counters of one target.
pub(super) struct Flushing {
    pub(super) counting: Arc<Counting>,
    pub(super) common: Arc<Common>,
    token: String,
    failure: Mutex<Option<Arc<str>>>,
}

/// A mark and the version that was written.
struct Mark {
    member: String,
    version: u64,
}

impl Flushing {
    pub(super) fn new(counting: Arc<Counting>, common: Arc<Common>) -> Self {
        Self {
            counting,
            common,
            token: format!("{:016x}", rand::random::<u64>()),
            failure: Mutex::new(None),
        }
    }

    /// Why the last flush failed; `None` when it did not.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.failure.lock().clone()
    }

    /// Flushes at every interval, as long as it is the one of the fleet that does.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.counting.route.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let outcome = match self.take_turn().await {
                Ok(true) => self.pass().await,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            self.note(&outcome);
        }
    }

    /// Flushes everything that was marked when it began, whosever turn it is.
    pub(super) async fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let outcome = tokio::time::timeout_at(deadline.into(), self.pass()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(SinkError::Unavailable {
                reason: "the flush did not end in time".to_owned(),
            })
        });
        self.note(&outcome);
        outcome
    }

    fn note(&self, outcome: &Result<(), SinkError>) {
        let sink = &self.counting.route.sink;
        let failure = outcome.as_ref().err();
        *self.failure.lock() =
            failure.map(|error| Arc::from(format!("flushing counters to sink {sink}: {error}")));
    }

    /// One process of a fleet is enough: whoever holds the turn for about an interval. Two at once
    /// would do no harm.
    async fn take_turn(&self) -> Result<bool, SinkError> {
        let interval = self.counting.route.interval;
        let millis = (interval - interval / 10).as_millis().max(1);
        let mut command = redis::cmd("SET");
        command
            .arg(self.common.keyspace.flusher(&self.counting.route.sink))
            .arg(&self.token)
            .arg("NX")
            .arg("PX")
            .arg(u64::try_from(millis).unwrap_or(u64::MAX));
        let answer = self.common.ask(&command, step()).await?;
        Ok(answer != redis::Value::Nil)
    }

    async fn pass(&self) -> Result<(), SinkError> {
        let (mut cursor, mut outcome) = (0, Ok(()));
        loop {
            let scanned = self.scan(cursor).await?;
            let mut left = scanned.members.as_slice();
            while !left.is_empty() {
                let batch = &left[..left.len().min(self.counting.route.batch_keys.max(1))];
                let done = self.batch(batch, &mut outcome).await?;
                left = &left[done..];
            }
            cursor = scanned.cursor;
            if cursor == 0 {
                return outcome;
            }
        }
    }

    async fn scan(&self, cursor: u64) -> Result<answers::Scanned, SinkError> {
        let route = &self.counting.route;
        let mut command = redis::cmd("SSCAN");
        command
            .arg(self.common.keyspace.dirty(&route.sink))
            .arg(cursor)
            .arg("COUNT")
            .arg(route.batch_keys.max(1));
        let answer = self.common.ask(&command, step()).await?;
        answers::scanned(answer).map_err(Fault::into_sink)
    }

    /// Flushes the first counters of a batch, as many as its bytes allow; how many. A document that
    /// refuses its row keeps its mark, and the others go on; a target that is down ends the pass.
    async fn batch(
        &self,
        members: &[String],
        outcome: &mut Result<(), SinkError>,
    ) -> Result<usize, SinkError> {
        let read = self.read(members).await?;
        let done = read.len();
        let (rows, mut flushed) = rows(members, read);
        let mut behind = Vec::new();
        let written = self.counting.route.target.write(&rows, step()).await;
        let mut down = None;
        for (row, written) in rows.into_iter().zip(written) {
            let Row { place, counters } = row;
            let mark = Mark {
                member: keyspace::member(&place.collection, &place.id),
                version: counters.version,
            };
            match written {
                Ok(Written::Stored) => flushed.push(mark),
                Ok(Written::Newer) => behind.push(mark),
                Err(error @ SinkError::Record { .. }) => *outcome = Err(error),
                Err(error) => down = Some(error),
            }
        }
        self.clear(&flushed, Keep::ForAWhile).await?;
        // Another process may have flushed a later version, which is then the server's, too. If
        // not, the server has an older state than it had: the document knows more than it.
        if self.clear(&behind, Keep::No).await? > 0 {
            self.common.sentinel.note_loss();
        }
        match down {
            Some(error) => Err(error),
            None => Ok(done.max(1)),
        }
    }

    async fn read(&self, members: &[String]) -> Result<Vec<Read>, SinkError> {
        let route = &self.counting.route;
        let counter = |member: &String| self.common.keyspace.counter(&route.sink, member);
        let keys: Vec<_> = members.iter().map(counter).collect();
        let bytes = u64::try_from(self.counting.batch_bytes()).unwrap_or(u64::MAX);
        let call = Call {
            script: &self.common.server.read,
            keys: &keys,
            arguments: &[Argument::Unsigned(bytes)],
        };
        let answer = self.common.call(&call, step()).await?;
        answers::counters(answer).map_err(Fault::into_sink)
    }

    /// Takes off the marks of counters that are still at their version; how many.
    async fn clear(&self, marks: &[Mark], keep: Keep) -> Result<u64, SinkError> {
        if marks.is_empty() {
            return Ok(0);
        }
        let (route, keyspace) = (&self.counting.route, &self.common.keyspace);
        let counters = marks
            .iter()
            .map(|mark| keyspace.counter(&route.sink, &mark.member));
        let keys: Vec<_> = std::iter::once(keyspace.dirty(&route.sink))
            .chain(counters)
            .collect();
        let mut arguments = Vec::with_capacity(3 * marks.len());
        for Mark { member, version } in marks {
            let lifetime = match keep {
                Keep::ForAWhile => self.counting.lifetime_ms(),
                Keep::No => 0,
            };
            arguments.extend([
                Argument::from(member.as_str()),
                Argument::Unsigned(*version),
                Argument::Number(lifetime),
            ]);
        }
        let call = Call {
            script: &self.common.server.clear,
            keys: &keys,
            arguments: &arguments,
        };
        let answer = self.common.call(&call, step()).await?;
        answers::number(answer).map_err(Fault::into_sink)
    }
}

/// What becomes of a counter whose document is up to date.
#[derive(Clone, Copy)]
enum Keep {
    /// It serves the next records.
    ForAWhile,
    /// It is seeded again.
    No,
}

/// The rows of the counters that were read; the marks of those that are gone have nothing to say.
fn rows(members: &[String], read: Vec<Read>) -> (Vec<Row>, Vec<Mark>) {
    let (mut rows, mut gone) = (Vec::with_capacity(read.len()), Vec::new());
    for (member, counters) in members.iter().zip(read) {
        match (keyspace::document(member), counters) {
            (Some((collection, id)), Some(counters)) => rows.push(Row {
                place: Place {
                    collection: Arc::from(collection),
                    id: id.to_owned(),
                },
                counters,
            }),
            _ => gone.push(Mark {
                member: member.clone(),
                version: 0,
            }),
        }
    }
    (rows, gone)
}

fn step() -> Instant {
    tokio::time::Instant::now().into_std() + STEP
}
