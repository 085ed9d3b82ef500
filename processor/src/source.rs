//! The source: one thread owns the consumer, takes records and commits what is finished.
//! Layer: shell
//!
//! ```text
//! brokers ─▶ partition queues ─forward─▶ record queue ─▶ judge ─▶ offer ─▶ intake
//!            main queue ─▶ rebalances, commit answers, errors         ▲ hold: one batch at most
//! ```

pub mod security;
pub mod settings;
pub mod intake;
pub mod facts;
pub mod trouble;
pub mod events;
pub mod queues;
pub mod client;
pub mod ownership;
mod supply;
pub mod gears;
pub mod silence;
pub mod commits;
mod rebalance;
mod tick;
mod turn;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use client::{Client, ClientError, Closed};
use facts::{FactsCell, SourceFacts};
use intake::Intake;
use parking_lot::Mutex;
use settings::{ClientLimits, SourceSettings};

use crate::law::Rebuild;

/// Why a source did not start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no consumer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The operating system gave no thread.
    #[error("cannot start the source thread")]
    Thread(#[from] io::Error),
}

/// The running source. Dropping it does not stop the thread: call [`Source::stop`].
pub struct Source {
    thread: JoinHandle<Closed>,
    control: Arc<Control>,
    facts: FactsCell,
}

/// What other threads tell the source thread.
#[derive(Default)]
pub(crate) struct Control {
    /// Grace in milliseconds plus one; 0 while running.
    stop: AtomicU64,
    /// What the next client is built with, until the source thread has taken it.
    limits: Mutex<Option<(ClientLimits, Rebuild)>>,
}

impl Control {
    /// The grace of a stop that was asked for.
    pub(crate) fn stopping(&self) -> Option<Duration> {
        let asked = self.stop.load(Ordering::Acquire);
        asked.checked_sub(1).map(Duration::from_millis)
    }

    /// New limits of the client, once.
    pub(crate) fn resized(&self) -> Option<(ClientLimits, Rebuild)> {
        self.limits.lock().take()
    }
}

impl Source {
    /// Connects and starts the thread; records go to `intake` from then on.
    ///
    /// # Errors
    /// When the client refuses its settings or there is no thread. An unreachable broker is no
    /// error: the client keeps trying.
    pub fn start(settings: SourceSettings, intake: Box<dyn Intake>) -> Result<Self, SourceError> {
        let client = Client::connect(&settings)?;
        let control = Arc::new(Control::default());
        let facts = FactsCell::new(Instant::now(), settings.limits);
        let turns = turn::Turns::new(
            settings,
            client,
            intake,
            (Arc::clone(&control), facts.clone()),
        );
        let thread = thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || turns.run())?;
        Ok(Self {
            thread,
            control,
            facts,
        })
    }

    /// What the source tells about itself, at most 250 ms old.
    #[must_use]
    pub fn facts(&self) -> SourceFacts {
        self.facts.read()
    }

    /// A reader of the facts that outlives this handle.
    pub fn facts_reader(&self) -> impl Fn() -> SourceFacts + Send + Sync + 'static {
        let facts = self.facts.clone();
        move || facts.read()
    }

    /// Gives the client that is built next other limits.
    pub fn resize(&self, limits: ClientLimits, rebuild: Rebuild) {
        let mut waiting = self.control.limits.lock();
        let now = rebuild == Rebuild::Now || waiting.is_some_and(|(_, r)| r == Rebuild::Now);
        let rebuild = if now { Rebuild::Now } else { Rebuild::Later };
        *waiting = Some((limits, rebuild));
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Begins to stop: running records get `grace` to finish, then what is finished is committed,
    /// the group is left and the client closed, for which it takes up to five seconds more.
    pub fn stop(&self, grace: Duration) {
        let millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX - 1);
        self.control
            .stop
            .store(millis.saturating_add(1), Ordering::Release);
        self.thread.thread().unpark();
    }

    /// Waits for the thread to end; call [`Source::stop`] before.
    ///
    /// # Errors
    /// When the thread panicked; what it had admitted is not committed then.
    pub fn join(self) -> thread::Result<Closed> {
        self.thread.join()
    }
}
