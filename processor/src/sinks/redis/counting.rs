//! Counts a record once, whatever is delivered again: one script call, and a seed where it is due.
//! Layer: shell

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::FutureExt;

use super::{
    Common, answers, keyspace,
    scripted::{Argument, Call},
    scripts::Answer,
    settings::FlushRoute,
};
use crate::{
    lookups::{Freshness, LookupSettings, Lookups},
    sinks::{
        Provenance, Reply, SinkError,
        flush_target::{Counters, Place},
    },
};

/// Longest look-up of a document; a fraction of the counters' life.
const SEED_TIMEOUT: Duration = Duration::from_secs(30);

/// Rounds of seeding and renewing before a record is put off: each needs a loss of its own.
const ROUNDS: u32 = 4;

/// Documents that are looked up now, each once.
type Seeds = Lookups<Place, Option<Counters>, Arc<SinkError>>;

/// Counters on the way to one target.
pub(super) struct Counting {
    pub(super) route: FlushRoute,
    /// Bytes of one batch now; the limit of the pod may change.
    batch_bytes: AtomicUsize,
    seeds: Arc<Seeds>,
}

/// What a record adds to one document.
pub(super) struct Addition<'a> {
    pub(super) stage: &'a str,
    pub(super) provenance: &'a Provenance,
    pub(super) place: Place,
    pub(super) amounts: &'a [(Arc<str>, i64)],
}

impl Counting {
    pub(super) fn new(route: FlushRoute) -> Self {
        let target = Arc::clone(&route.target);
        let load = move |place: Place| {
            let target = Arc::clone(&target);
            let deadline = tokio::time::Instant::now().into_std() + SEED_TIMEOUT;
            async move { target.read(&place, deadline).await.map_err(Arc::new) }.boxed()
        };
        // Only what the document holds now may seed a counter, so nothing is remembered.
        let seeds = Lookups::new(LookupSettings {
            freshness: Freshness::NONE,
            bytes: 0,
            weigh: |_, _| 0,
            load: Box::new(load),
        });
        Self {
            batch_bytes: AtomicUsize::new(route.batch_bytes),
            route,
            seeds,
        }
    }

    /// Bytes of the fields and values of one batch.
    pub(super) fn batch_bytes(&self) -> usize {
        self.batch_bytes.load(Relaxed)
    }

    pub(super) fn resize(&self, batch_bytes: usize) {
        self.batch_bytes.store(batch_bytes, Relaxed);
    }

    /// Adds all amounts, or none: when this record has added them before, or when one of them
    /// would leave its range.
    pub(super) async fn add(
        &self,
        common: &Common,
        addition: &Addition<'_>,
        deadline: Instant,
    ) -> Result<Reply, SinkError> {
        let call = Prepared::new(&self.route, common, addition)?;
        for _ in 0..ROUNDS {
            let sentinel = common.sentinel(deadline).await?;
            match call.count(common, addition, (&sentinel, deadline)).await? {
                Answer::Done => return Ok(Reply::Applied),
                Answer::Seen => return Ok(Reply::Redelivered),
                Answer::Old => return Err(fenced(addition.provenance)),
                Answer::Overflow(field) => {
                    let reason =
                        format!("counter {field} would leave the range of a 64-bit integer");
                    return Err(SinkError::Record { reason });
                }
                Answer::Missing => {
                    self.seed(common, &addition.place, (&sentinel, deadline))
                        .await?;
                }
                Answer::Lost => common.renew(&sentinel, deadline).await?,
            }
        }
        Err(SinkError::Unavailable {
            reason: "counters are lost as fast as they are seeded".to_owned(),
        })
    }

    /// Creates the counter from what its document holds.
    async fn seed(
        &self,
        common: &Common,
        place: &Place,
        (sentinel, deadline): (&Arc<str>, Instant),
    ) -> Result<(), SinkError> {
        let found = self.seeds.get(place).await;
        let counters = found
            .map_err(|error| self.behind(&error))?
            .unwrap_or_default();
        let member = keyspace::member(&place.collection, &place.id);
        let keys = [
            common.keyspace.sentinel(),
            common.keyspace.counter(&self.route.sink, &member),
        ];
        let mut arguments = vec![
            Argument::from(&**sentinel),
            Argument::Number(self.lifetime_ms()),
            Argument::Unsigned(counters.version),
        ];
        for (field, value) in &counters.fields {
            arguments.extend([Argument::from(&**field), Argument::Number(*value)]);
        }
        let call = Call {
            script: &common.server.seed,
            keys: &keys,
            arguments: &arguments,
        };
        // Whatever it answers, the next round tells.
        common.call(&call, deadline).await.map(drop)
    }

    /// How long a counter is kept from now on: up to a quarter less than the longest, at random.
    pub(super) fn lifetime_ms(&self) -> i64 {
        let longest = u64::try_from(self.route.lifetime.as_millis()).unwrap_or(u64::MAX);
        let longest = longest.min(i64::MAX.unsigned_abs());
        let shorter = rand::random::<u64>() % (longest / 4).max(1);
        i64::try_from(longest - shorter)
            .expect("no longer than the longest")
            .max(1)
    }

    /// The target's failure, told apart from ours: the key waits behind the target.
    fn behind(&self, error: &SinkError) -> SinkError {
        SinkError::Elsewhere {
            sink: Arc::clone(&self.route.sink),
            reason: format!("reading counters: {error}"),
        }
    }
}

/// Keys of one addition.
struct Prepared {
    keys: [String; 5],
    member: String,
}

impl Prepared {
    fn new(
        route: &FlushRoute,
        common: &Common,
        addition: &Addition<'_>,
    ) -> Result<Self, SinkError> {
        let Addition {
            stage,
            provenance,
            place,
            amounts,
        } = addition;
        // The one number that has no inverse, which a roll-back needs.
        if let Some((field, _)) = amounts.iter().find(|(_, amount)| *amount == i64::MIN) {
            let reason = format!("amount of {field} is {}, legal is more", i64::MIN);
            return Err(SinkError::Record { reason });
        }
        let keyspace = &common.keyspace;
        let partition = provenance.position.partition.partition;
        let [lane, applied] = keyspace.lane(stage, &provenance.topic, partition);
        let member = keyspace::member(&place.collection, &place.id);
        let counter = keyspace.counter(&route.sink, &member);
        let dirty = keyspace.dirty(&route.sink);
        Ok(Self {
            keys: [keyspace.sentinel(), lane, applied, counter, dirty],
            member,
        })
    }

    async fn count(
        &self,
        common: &Common,
        addition: &Addition<'_>,
        (sentinel, deadline): (&Arc<str>, Instant),
    ) -> Result<Answer, SinkError> {
        let provenance = addition.provenance;
        let mut arguments = Vec::with_capacity(5 + 2 * addition.amounts.len());
        arguments.extend([
            Argument::from(&**sentinel),
            Argument::Unsigned(provenance.generation),
            Argument::Number(provenance.position.offset),
            Argument::Number(provenance.floor.max(0)),
            Argument::from(self.member.as_str()),
        ]);
        for (field, amount) in addition.amounts {
            arguments.extend([Argument::from(&**field), Argument::Number(*amount)]);
        }
        let call = Call {
            script: &common.server.count,
            keys: &self.keys,
            arguments: &arguments,
        };
        let answer = common.call(&call, deadline).await?;
        answers::answer(answer).map_err(super::Fault::into_sink)
    }
}

/// A process of an older generation must not go on, nor may it call its records done.
fn fenced(provenance: &Provenance) -> SinkError {
    let own = provenance.generation;
    SinkError::Unavailable {
        reason: format!("generation {own} counts no more: a newer one has counted this partition"),
    }
}
