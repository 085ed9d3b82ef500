//! The embedded sink: one SQLite file, written in groups, exactly once per record.
//! Layer: shell
//!
//! Effects of concurrent records meet in a bounded queue; one thread takes what is there, applies
//! it in one transaction and answers after the commit. So one commit serves many records, and a
//! lone record does not wait for company.
//!
//! *What survives.* The log is written at every commit and flushed to disk at checkpoints only
//! (`synchronous = NORMAL`). A commit that was answered survives the death of the process, SIGKILL
//! included. It may be lost when the machine loses power or its kernel dies; the file stays whole
//! then, but the records of the lost commits are not delivered again once their offsets are
//! committed. Whoever needs that has Elasticsearch and MongoDB.
//!
//! *Two processes* may write one file: every group takes the write lock before it reads and keeps
//! nothing in memory beyond its transaction.

mod applied;
mod checkpoint;
mod counts;
mod facts;
mod group;
mod schema;
mod writer;

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, oneshot};

pub use self::facts::EmbeddedHealth;
use self::{
    facts::Facts,
    writer::{File, Job, Limits, Sizes, Writer},
};
use crate::{
    elastic::{Above, Elastic},
    sinks::{Action, Effect, Reply, Sink, SinkError, weight::weight},
};

/// Sizes of an embedded sink; from the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// The SQLite file; created when missing, its folder is not.
    pub path: PathBuf,
    /// Effects that may wait for the writer.
    pub queue_effects: usize,
    /// Bytes of effects that may wait or be in the group being written. An effect larger than all
    /// of it passes alone.
    pub queue_bytes: u32,
    /// Effects in one transaction.
    pub group_effects: usize,
    /// SQLite's page cache, bytes.
    pub page_cache_bytes: u64,
    /// The write-ahead log, bytes on disk, which the kernel may keep in memory as long as nobody
    /// needs that. Copying it rarely is what the rate depends on most.
    pub log_bytes: u64,
}

/// A sink that is a file. Dropping it writes what is queued and wanted, and closes the file.
pub struct Embedded {
    // Dropped first: its end is what ends the writer.
    jobs: mpsc::Sender<Job>,
    _writer: WriterThread,
    bytes: Elastic,
    facts: Arc<Facts>,
    sizes: Arc<Sizes>,
}

impl Embedded {
    /// Opens or creates the file and starts the writer. Blocks for the time of some file
    /// operations, and at most about a quarter of a second for a lock.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the file cannot be opened, is locked while it has no tables
    /// yet, or has tables of another version.
    pub fn open(settings: EmbeddedSettings) -> Result<Self, SinkError> {
        let EmbeddedSettings {
            path,
            queue_effects,
            queue_bytes,
            ..
        } = settings;
        let (jobs, queue) = mpsc::channel(queue_effects.max(1));
        let facts = Arc::new(Facts::default());
        let limits = Limits {
            path,
            // Half, so that the next group can fill up while this one is committed.
            sizes: Arc::new(Sizes::new(
                settings.page_cache_bytes,
                u64::from(queue_bytes / 2),
            )),
            log_bytes: settings.log_bytes,
            group_effects: settings.group_effects.max(1),
        };
        let sizes = Arc::clone(&limits.sizes);
        let file = File::open(&limits)?;
        let writer = Writer {
            jobs: queue,
            limits,
            facts: Arc::clone(&facts),
        };
        let thread = thread::Builder::new()
            .name("sink-embedded".to_owned())
            .spawn(move || writer.run(file))
            .map_err(|error| unavailable(&format!("starting the writer: {error}")))?;
        let bytes = Elastic::new(queue_bytes);
        let writer = WriterThread(Some(thread));
        Ok(Self {
            jobs,
            _writer: writer,
            bytes,
            facts,
            sizes,
        })
    }

    /// Queue, groups and their latency at this moment.
    #[must_use]
    pub fn health(&self) -> EmbeddedHealth {
        let waiting = self.jobs.max_capacity() - self.jobs.capacity();
        let bytes = self.bytes.size().saturating_sub(self.bytes.available());
        self.facts.health(waiting as u64, bytes.into())
    }

    async fn queue(&self, effect: Effect, deadline: Instant) -> Result<Reply, SinkError> {
        check(&effect)?;
        let weight = weight(&effect);
        let wish = u32::try_from(weight).unwrap_or(u32::MAX);
        let permit = self
            .bytes
            .acquire_owned(wish, Above::Alone)
            .await
            .ok_or_else(|| unavailable("the queue has no room for anything"))?;
        let (answer, reply) = oneshot::channel();
        let job = Job {
            effect,
            deadline,
            weight,
            answer,
            _permit: permit,
        };
        self.jobs.send(job).await.map_err(ended)?;
        reply.await.map_err(ended)?
    }
}

/// The deadline is looked at when the writer takes the effect: one that is over is refused. Waiting
/// is ended by the caller dropping the future, as the guard in front does.
impl Sink for Embedded {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        Box::pin(self.queue(effect, deadline))
    }

    fn taken_permille(&self) -> u64 {
        self.bytes.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        let queue = u32::try_from(sizes.batch.0).unwrap_or(u32::MAX);
        self.bytes.resize(queue);
        self.sizes.set(sizes.page_cache.0, u64::from(queue / 2));
    }
}

/// Checked here and not by the writer, whose time is everybody's.
fn check(effect: &Effect) -> Result<(), SinkError> {
    match &effect.action {
        Action::Create { document, .. } => match serde_json::from_slice::<IgnoredAny>(document) {
            Ok(_) => Ok(()),
            Err(error) => Err(SinkError::Record {
                reason: format!("document is not JSON: {error}"),
            }),
        },
        Action::Upsert { .. } | Action::Count { .. } | Action::Unique { .. } => Ok(()),
    }
}

fn ended<E>(_: E) -> SinkError {
    unavailable("the writer of the embedded sink has ended")
}

fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}

/// Waits for the writer, so that a file opened again afterwards has no second writer.
struct WriterThread(Option<JoinHandle<()>>);

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A writer that panicked has dropped its jobs, which refused them.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests;
