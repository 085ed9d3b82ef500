//! The MongoDB sink: documents changed and created once for each record.
//! Layer: shell
//!
//! Effects of concurrent records meet in a group; one command for each collection writes them. A
//! guarded document remembers the last record applied to it, and an update applies only above
//! that. An upsert that finds nothing to change inserts, and the id that is there already says
//! that the record had been applied: by a delivery before a crash, or by another owner of the
//! partition. An update whose document is wanted back goes on its own.
//!
//! *What survives.* An answered write is on disk on a majority of the replica set.
//!
//! It takes flushes of counters besides, under a version of their own.

mod batch;
mod blame;
mod connection;
mod flush;
mod fold;
mod probe;
mod update;
mod values;
mod writer;

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;
use tokio::sync::Semaphore;

use self::{connection::Connection, values::unavailable, writer::Writer};
use super::{
    Action, Effect, Reply, Sink, SinkError, UpsertReply,
    flush_target::{Counters, FlushTarget, Place, Row, Written},
    grouped::{Grouped, GroupedHealth, GroupedSettings},
    probe::Weakness,
    secret::Secret,
};

/// Updates on their own at once; each holds a connection.
const RETURNING: u32 = 12;

/// Where a deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MongodbSettings {
    /// `host:port`, one at least; the others of a replica set are found.
    pub hosts: Vec<String>,
    /// The database of all collections.
    pub database: String,
    /// Name of the replica set.
    pub replica_set: Option<String>,
    /// Database that knows the user; `admin` where it is missing.
    pub auth_source: Option<String>,
    /// Has the keys `username` and `password`.
    pub secret: Option<Secret>,
    /// Whether connections are encrypted, and whom to trust.
    pub tls: Option<MongodbTls>,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MongodbTls {
    /// A Secret and its key with the certificates to trust; the public ones where it is missing.
    pub ca: Option<(Secret, String)>,
}

/// A sink that is a database. Dropping it leaves unwritten what is not written yet.
pub struct Mongodb {
    groups: Grouped,
    connection: Arc<Connection>,
    returning: Semaphore,
}

impl Mongodb {
    /// Starts the task that writes and connects in the background; call it inside a runtime.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when a host is none, or Secret or certificates cannot be read.
    pub fn open(settings: &MongodbSettings, groups: GroupedSettings) -> Result<Self, SinkError> {
        let connection = Arc::new(Connection::open(settings)?);
        Ok(Self {
            groups: Grouped::start(groups, Writer(Arc::clone(&connection))),
            connection,
            returning: Semaphore::new(RETURNING as usize),
        })
    }

    /// Queue and groups at this moment.
    #[must_use]
    pub fn health(&self) -> GroupedHealth {
        self.groups.health()
    }

    /// Whether a server answers, and what makes its promises weaker.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when it does not answer, or not to these credentials.
    pub async fn probe(
        settings: &MongodbSettings,
        deadline: Instant,
    ) -> Result<Vec<Weakness>, SinkError> {
        probe::look(&Connection::open(settings)?, deadline).await
    }

    async fn returning(&self, effect: Effect, deadline: Instant) -> Result<Reply, SinkError> {
        let slot = self.returning.acquire().await;
        let _slot = slot.map_err(|_| unavailable("the sink is closed"))?;
        writer::returning(&self.connection, &effect, deadline).await
    }
}

impl Sink for Mongodb {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        match &effect.action {
            Action::Upsert {
                reply: UpsertReply::Document,
                ..
            } => Box::pin(self.returning(effect, deadline)),
            _ => self.groups.submit(effect, deadline),
        }
    }

    fn taken_permille(&self) -> u64 {
        self.groups.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        self.groups.resize(sizes);
    }
}

impl FlushTarget for Mongodb {
    fn write<'a>(
        &'a self,
        rows: &'a [Row],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Written, SinkError>>> {
        Box::pin(flush::write(&self.connection, rows, deadline))
    }

    fn read<'a>(
        &'a self,
        place: &'a Place,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<Counters>, SinkError>> {
        Box::pin(flush::read(&self.connection, place, deadline))
    }
}
