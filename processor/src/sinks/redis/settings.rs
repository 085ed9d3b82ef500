//! How a Redis server is reached, and what is kept in it.
//! Layer: core

use std::{path::PathBuf, sync::Arc, time::Duration};

use penstock_sizing::SinkPlan;

use super::keyspace::Keyspace;
use crate::sinks::flush_target::FlushTarget;

/// Where the server is and who we are to it. Files are read at every connect, so that what a mount
/// replaces is used from the next connection on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Number of the database, 0 to 15.
    pub database: u8,
    /// A folder with a file `password` and perhaps a file `username`; `None` is no authentication.
    pub credentials: Option<PathBuf>,
    /// How the connection is encrypted; `None` is in the clear.
    pub tls: Option<RedisTls>,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// A PEM file; `None` are the machine's own authorities.
    pub authority: Option<PathBuf>,
}

/// Sizes and routes of a Redis sink; the sizes are from the plan.
#[derive(Clone)]
pub struct RedisSettings {
    /// The server.
    pub server: RedisServer,
    /// The pipeline's keys.
    pub keyspace: Keyspace,
    /// Connections; each carries many operations at once.
    pub connections: usize,
    /// Bytes of effects on their way. A larger effect passes alone.
    pub queue_bytes: u32,
    /// Where the counters of each `count` stage go.
    pub routes: Vec<FlushRoute>,
}

/// The way of counters to their documents.
#[derive(Clone)]
pub struct FlushRoute {
    /// The stages that count for it.
    pub stages: Vec<Arc<str>>,
    /// Name of the target among the sinks of the object; part of the counters' keys.
    pub sink: Arc<str>,
    /// The target.
    pub target: Arc<dyn FlushTarget>,
    /// Time between flushes.
    pub interval: Duration,
    /// Counters of one batch.
    pub batch_keys: usize,
    /// Bytes of the fields and values of one batch. A larger counter goes alone.
    pub batch_bytes: usize,
    /// How long a counter is kept after its last flush, at most; up to a quarter less, so that
    /// those that were flushed together do not expire together. Far longer than a look-up of its
    /// document takes.
    pub lifetime: Duration,
}

/// Bytes of effects on their way: what the plan grants beside the batch that is flushed.
#[must_use]
pub fn queue_bytes(sizes: &SinkPlan) -> u32 {
    let bytes = sizes.total.0.saturating_sub(sizes.batch.0).max(1);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Bytes of the fields and values of one batch of one of so many routes. They are held as the
/// server's answer, as values, and as rows: five times their length, measured with
/// `examples/redis_sink_rate.rs`, is the plan's batch.
#[must_use]
pub fn batch_bytes(sizes: &SinkPlan, routes: usize) -> usize {
    let bytes = usize::try_from(sizes.batch.0 / 5).unwrap_or(usize::MAX);
    bytes / routes.max(1)
}

impl RedisServer {
    /// A server in the clear and without authentication.
    #[must_use]
    pub fn plain(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            database: 0,
            credentials: None,
            tls: None,
        }
    }
}
