//! The Elasticsearch sink, which is the OpenSearch sink, too: documents created once, by event id.
//! Layer: shell
//!
//! Effects of concurrent records meet in a group; one request creates them all. Each document
//! carries the record behind it, so that one that is there already is told apart: the same record
//! delivered again, or a true duplicate. A request whose answer was lost is repeated harmlessly.
//!
//! *What survives.* An answered document is in the translog of its primary, and of every replica
//! that was in sync, flushed to disk: the cluster's default (`index.translog.durability` is
//! `request`). The probe tells where that was changed.
//!
//! It takes flushes of counters besides, under external versions.

mod answer;
mod bulk;
mod client;
mod nodes;
mod probe;
mod writer;

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;

use self::{client::Client, writer::Writer};
use super::{
    Effect, Reply, Sink, SinkError,
    flush_target::{Counters, FlushTarget, Place, Row, Written},
    grouped::{Grouped, GroupedHealth, GroupedSettings},
    probe::Weakness,
    secret::Secret,
};

/// Where a cluster is and how groups are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticsearchSettings {
    /// `http://host:port` or `https://host:port`, one at least; asked in turn.
    pub urls: Vec<String>,
    /// Has the key `apiKey`, or `username` and `password`.
    pub secret: Option<Secret>,
    /// A Secret and its key with the certificates to trust; the system's where it is missing.
    pub ca: Option<(Secret, String)>,
}

/// A sink that is a cluster. Dropping it leaves unwritten what is not written yet.
pub struct Elasticsearch {
    groups: Grouped,
    client: Arc<Client>,
}

const COUNTERS: &str = "/_mget?filter_path=error.type,error.reason,docs.found,docs._version,\
    docs._source,docs.error.type";

/// Fields of one document of counters that are read, items of an answer.
const COUNTER_ITEMS: usize = 256;

impl Elasticsearch {
    /// Starts the task that writes; call it inside a runtime. Connects when it is first needed.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when an address is none, or Secret or certificates cannot be
    /// read.
    pub fn open(
        settings: &ElasticsearchSettings,
        groups: GroupedSettings,
    ) -> Result<Self, SinkError> {
        let client = Arc::new(Client::open(settings)?);
        let groups = Grouped::start(groups, Writer(Arc::clone(&client)));
        Ok(Self { groups, client })
    }

    /// Queue and groups at this moment.
    #[must_use]
    pub fn health(&self) -> GroupedHealth {
        self.groups.health()
    }

    /// Whether a cluster answers, and what makes its promises weaker.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when it does not answer, or not to these credentials.
    pub async fn probe(
        settings: &ElasticsearchSettings,
        deadline: Instant,
    ) -> Result<Vec<Weakness>, SinkError> {
        probe::look(&Client::open(settings)?, deadline).await
    }
}

impl Sink for Elasticsearch {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        self.groups.submit(effect, deadline)
    }

    fn taken_permille(&self) -> u64 {
        self.groups.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        self.groups.resize(sizes);
    }
}

impl FlushTarget for Elasticsearch {
    fn write<'a>(
        &'a self,
        rows: &'a [Row],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Written, SinkError>>> {
        Box::pin(async move {
            if rows.is_empty() {
                return Vec::new();
            }
            let request = writer::bulk_request(bulk::flushes(rows), rows.len());
            let answer = self.client.ask(&request, deadline).await;
            let items = answer.and_then(|answer| {
                answer::items(&answer, rows.len()).map_err(answer::Whole::error)
            });
            match items {
                Ok(items) => items.into_iter().map(bulk::judge_row).collect(),
                Err(error) => rows.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn read<'a>(
        &'a self,
        place: &'a Place,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<Counters>, SinkError>> {
        Box::pin(async move {
            let body = bulk::lookups([(&*place.collection, place.id.as_str())]);
            let request = writer::lookup_request(COUNTERS, body, COUNTER_ITEMS);
            let answer = self.client.ask(&request, deadline).await?;
            let found = answer::found(&answer, 1)?.into_iter().next();
            found.map_or(Ok(None), answer::Found::counters)
        })
    }
}
