//! The Redis sink: counters that take every record once and are flushed to documents, and sets.
//! Layer: shell
//!
//! *One call.* Every effect is one script call, and what is asked at the same time travels in one
//! write. Whether a record was counted before is decided inside the server, by its offset and the
//! acknowledged commit of its partition.
//!
//! *What survives.* Everything that the server keeps. Counters live in their documents; in the
//! server are those that were touched lately. Losing acknowledged writes inside the server (no
//! `appendfsync always`) loses what was counted since the last flush: it is noticed and reported.

mod answers;
mod blame;
mod counting;
mod facts;
mod flushing;
pub mod keyspace;
mod link;
mod scripted;
mod scripts;
mod sentinel;
pub mod settings;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;
use redis::{Cmd, Value};
use tokio::{
    task::JoinHandle,
    time::{self, timeout_at},
};

use self::{
    blame::{Complaint, Fault, blame},
    counting::{Addition, Counting},
    flushing::Flushing,
    keyspace::Keyspace,
    link::{Eviction, Link},
    scripted::{Argument, Call, Scripted},
    scripts::Answer,
    sentinel::Sentinel,
    settings::{RedisServer, RedisSettings},
};
use crate::{
    elastic::{Above, Elastic},
    sinks::{
        Action, Effect, Reply, Retention, Sink, SinkError, flush_target::Place, probe::Weakness,
    },
};

/// How long a look at the server may take.
const PROBE: Duration = Duration::from_secs(5);

/// Bytes of an operation besides its text: question, keys and answer, rounded up.
const OPERATION_BYTES: usize = 1024;

/// Bytes of an amount besides its field's name.
const AMOUNT_BYTES: usize = 64;

/// What counting, flushing and sets share.
struct Common {
    server: Scripted,
    keyspace: Keyspace,
    sentinel: Sentinel,
}

impl Common {
    async fn ask(&self, command: &Cmd, deadline: Instant) -> Result<Value, SinkError> {
        self.server
            .ask(command, deadline)
            .await
            .map_err(Fault::into_sink)
    }

    async fn call(&self, call: &Call<'_>, deadline: Instant) -> Result<Value, SinkError> {
        self.server
            .call(call, deadline)
            .await
            .map_err(Fault::into_sink)
    }

    async fn sentinel(&self, deadline: Instant) -> Result<Arc<str>, SinkError> {
        let current = self.sentinel.current(&self.server, deadline).await;
        current.map_err(Fault::into_sink)
    }

    async fn renew(&self, lost: &Arc<str>, deadline: Instant) -> Result<(), SinkError> {
        let renewed = self.sentinel.renew(&self.server, lost, deadline).await;
        renewed.map_err(Fault::into_sink)
    }
}

/// A sink that is a Redis server. Dropping it ends its flushes where they are, harmlessly.
pub struct Redis {
    common: Arc<Common>,
    countings: Vec<(Arc<Counting>, Arc<Flushing>)>,
    flushes: Vec<JoinHandle<()>>,
    bytes: Elastic,
}

impl Redis {
    /// Opens the sink and starts its flushes; call it inside a runtime. Connects with the first
    /// operation, which is refused while the server may evict counters.
    #[must_use]
    pub fn open(settings: RedisSettings) -> Self {
        let eviction = match settings.routes.is_empty() {
            true => Eviction::Suffered,
            false => Eviction::Refused,
        };
        let link = Link::new(settings.server, settings.connections, eviction);
        let common = Arc::new(Common {
            server: Scripted::new(link),
            sentinel: Sentinel::new(settings.keyspace.sentinel()),
            keyspace: settings.keyspace,
        });
        let routes = settings.routes.into_iter();
        let countings: Vec<_> = routes
            .map(|route| {
                let counting = Arc::new(Counting::new(route));
                let flushing = Flushing::new(Arc::clone(&counting), Arc::clone(&common));
                (counting, Arc::new(flushing))
            })
            .collect();
        let flushings = countings.iter().map(|(_, flushing)| Arc::clone(flushing));
        Self {
            flushes: flushings
                .map(|flushing| tokio::spawn(flushing.run()))
                .collect(),
            common,
            countings,
            bytes: Elastic::new(settings.queue_bytes.max(1)),
        }
    }

    /// Looks at a server without using it: whether it answers and lets us in, and what it may lose.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when it does not answer or refuses us.
    pub async fn probe(server: &RedisServer) -> Result<Vec<Weakness>, SinkError> {
        let deadline = time::Instant::now() + PROBE;
        let look = async {
            let mut connection = link::dial(server).await?;
            link::facts(&mut connection).await
        };
        let facts = timeout_at(deadline, look).await;
        let facts = facts.unwrap_or_else(|_| Err(blame(&Complaint::Late)));
        facts
            .map(|facts| facts.weaknesses())
            .map_err(Fault::into_sink)
    }

    /// Times that the scripts were loaded into the server.
    #[must_use]
    pub fn script_loads(&self) -> u64 {
        self.common.server.loads()
    }

    async fn apply(&self, effect: &Effect, deadline: Instant) -> Result<Reply, SinkError> {
        let share = u32::try_from(bytes(&effect.action)).unwrap_or(u32::MAX);
        let _share = self.bytes.acquire(share, Above::Alone).await;
        match &effect.action {
            Action::Count {
                collection,
                id,
                amounts,
            } => {
                let addition = Addition {
                    stage: &effect.stage,
                    provenance: &effect.provenance,
                    place: Place {
                        collection: Arc::clone(collection),
                        id: id.clone(),
                    },
                    amounts,
                };
                let counting = self.counting(&effect.stage)?;
                counting.add(&self.common, &addition, deadline).await
            }
            Action::Unique {
                set,
                member,
                retention,
            } => self.add((set, member), retention, deadline).await,
            Action::Create { .. } | Action::Upsert { .. } => {
                Err(other("a redis sink stores no documents"))
            }
        }
    }

    fn counting(&self, stage: &Arc<str>) -> Result<&Counting, SinkError> {
        let routes = self.countings.iter().map(|(counting, _)| &**counting);
        let mut serving = routes.filter(|counting| counting.route.stages.contains(stage));
        let none = || {
            other(&format!(
                "counters of stage {stage} have no way to a document"
            ))
        };
        serving.next().ok_or_else(none)
    }

    async fn add(
        &self,
        (set, member): (&str, &[u8]),
        retention: &Retention,
        deadline: Instant,
    ) -> Result<Reply, SinkError> {
        let common = &self.common;
        let keys = [common.keyspace.sentinel(), common.keyspace.set(set)];
        // A server that has just lost its data is met with the new sentinel in the second round.
        for _ in 0..2 {
            let sentinel = common.sentinel(deadline).await?;
            let call = Call {
                script: &common.server.unique,
                keys: &keys,
                arguments: &[
                    Argument::from(&*sentinel),
                    Argument::Bytes(member),
                    Argument::Number(retention.until_ms),
                    Argument::Number(retention.margin_ms),
                ],
            };
            let answer = common.call(&call, deadline).await?;
            match answers::answer(answer).map_err(Fault::into_sink)? {
                Answer::Done => return Ok(Reply::Member { first: true }),
                Answer::Lost => common.renew(&sentinel, deadline).await?,
                _ => return Ok(Reply::Member { first: false }),
            }
        }
        Err(other("the server loses its data again and again"))
    }
}

impl Sink for Redis {
    /// A repeated member answers that it was seen: who added it is not kept.
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        Box::pin(async move { self.apply(&effect, deadline).await })
    }

    fn incarnation(&self) -> u64 {
        self.common.sentinel.losses()
    }

    fn trouble(&self) -> Option<Arc<str>> {
        let failures = self.countings.iter();
        let failure = failures
            .filter_map(|(_, flushing)| flushing.failure())
            .next();
        failure.or_else(|| {
            let losses = self.common.sentinel.losses();
            let text = format!(
                "the server lost its data ({losses} since the start): counters went on from their \
                 documents, what was counted since the flush before is gone"
            );
            (losses > 0).then(|| Arc::from(text))
        })
    }

    fn taken_permille(&self) -> u64 {
        self.bytes.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        self.bytes.resize(settings::queue_bytes(sizes));
        for (counting, _) in &self.countings {
            let batch = settings::batch_bytes(sizes, self.countings.len());
            counting.resize(batch);
        }
    }

    fn flush(&self, deadline: Instant) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            for (_, flushing) in &self.countings {
                flushing.flush(deadline).await?;
            }
            Ok(())
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.flushes.iter().for_each(JoinHandle::abort);
    }
}

/// Bytes that an operation holds while it is on its way.
fn bytes(action: &Action) -> usize {
    let text = match action {
        Action::Count { id, amounts, .. } => {
            let amounts = amounts.iter().map(|(field, _)| field.len() + AMOUNT_BYTES);
            id.len() + amounts.sum::<usize>()
        }
        Action::Unique { set, member, .. } => set.len() + member.len(),
        Action::Create { .. } | Action::Upsert { .. } => 0,
    };
    // The effect, the question and the write buffer.
    OPERATION_BYTES + 3 * text
}

fn other(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}
