//! The one thread that writes: takes what is queued, commits it as one group, then answers.
//! Layer: shell

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    checkpoint::Checkpoints,
    facts::Facts,
    group::{Fault, Group},
    schema,
};
use crate::sinks::{Effect, Reply, SinkError, weight::reply_weight};

/// The open file: the connection that writes, and the copying of its log.
pub(super) struct File {
    connection: Connection,
    checkpoints: Checkpoints,
    page_cache: u64,
}

impl File {
    /// Opens or creates the file.
    pub(super) fn open(limits: &Limits) -> Result<Self, SinkError> {
        let page_cache = limits.sizes.page_cache();
        let connection = schema::open(&limits.path, page_cache)?;
        let checkpoints = Checkpoints::start(&limits.path, limits.log_bytes)?;
        Ok(Self {
            connection,
            checkpoints,
            page_cache,
        })
    }

    /// Between two groups: takes up a new size of the page cache and copies the log when it is time;
    /// `None` when the file has to be opened anew.
    fn committed(mut self, page_cache: u64) -> Option<Self> {
        if page_cache != self.page_cache {
            schema::set_page_cache(&self.connection, page_cache).ok()?;
            self.page_cache = page_cache;
        }
        let looked = self.checkpoints.committed(&self.connection);
        looked.ok().map(|()| self)
    }
}

/// Effects that the buffers of a group are made for; they grow beyond it.
const TYPICAL_GROUP: usize = 256;

/// An effect on its way to the file; its bytes return to the queue's budget when it is dropped.
pub(super) struct Job {
    pub(super) effect: Effect,
    pub(super) deadline: Instant,
    pub(super) weight: usize,
    pub(super) answer: oneshot::Sender<Result<Reply, SinkError>>,
    /// Held, never read.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Where the writer writes and how much at once.
pub(super) struct Limits {
    pub(super) path: PathBuf,
    pub(super) sizes: Arc<Sizes>,
    pub(super) log_bytes: u64,
    pub(super) group_effects: usize,
}

/// Sizes that follow the memory limit while the writer is at work.
pub(super) struct Sizes {
    page_cache_bytes: AtomicU64,
    group_bytes: AtomicU64,
}

impl Sizes {
    pub(super) fn new(page_cache_bytes: u64, group_bytes: u64) -> Self {
        Self {
            page_cache_bytes: AtomicU64::new(page_cache_bytes),
            group_bytes: AtomicU64::new(group_bytes),
        }
    }

    pub(super) fn set(&self, page_cache_bytes: u64, group_bytes: u64) {
        self.page_cache_bytes.store(page_cache_bytes, Relaxed);
        self.group_bytes.store(group_bytes, Relaxed);
    }

    fn page_cache(&self) -> u64 {
        self.page_cache_bytes.load(Relaxed)
    }

    fn group(&self) -> usize {
        usize::try_from(self.group_bytes.load(Relaxed)).unwrap_or(usize::MAX)
    }
}

/// State of the writer thread.
pub(super) struct Writer {
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) limits: Limits,
    pub(super) facts: Arc<Facts>,
}

impl Job {
    /// Answers, its bytes returned before; a caller that has given up is not told.
    fn tell(self, outcome: Result<Reply, SinkError>) {
        let Self {
            effect,
            answer,
            _permit: permit,
            ..
        } = self;
        drop((effect, permit));
        drop(answer.send(outcome));
    }

    /// The job, unless its caller has given up or its deadline has passed in the queue.
    fn wanted(self, now: Instant) -> Option<Self> {
        if self.answer.is_closed() {
            return None;
        }
        if self.deadline <= now {
            let reason = "deadline passed in the queue".to_owned();
            self.tell(Err(SinkError::Unavailable { reason }));
            return None;
        }
        Some(self)
    }
}

impl Writer {
    /// Writes group after group until the sink is dropped.
    ///
    /// A file that failed in another way than by a lock is opened anew for the next group.
    pub(super) fn run(mut self, file: File) {
        let mut kept = Some(file);
        while let Some(job) = self.jobs.blocking_recv() {
            let Some(first) = job.wanted(Instant::now()) else {
                continue;
            };
            let file = match kept.take() {
                Some(file) => Ok(file),
                None => File::open(&self.limits),
            };
            kept = match file {
                Ok(file) => self.write(file, first),
                Err(error) => {
                    self.refuse(vec![first], &error.to_string());
                    None
                }
            };
        }
    }

    /// Writes one group; gives the file back if it is still good.
    fn write(&mut self, file: File, first: Job) -> Option<File> {
        let started = Instant::now();
        let mut taken = Vec::with_capacity(self.limits.group_effects.min(TYPICAL_GROUP));
        taken.push(first);
        match self.fill(&file.connection, started, &mut taken) {
            Ok(outcomes) => {
                self.facts.committed(outcomes.len(), started.elapsed());
                taken
                    .into_iter()
                    .zip(outcomes)
                    .for_each(|(job, outcome)| job.tell(outcome));
                file.committed(self.limits.sizes.page_cache())
            }
            Err(Fault::Busy(reason) | Fault::Record(reason)) => {
                self.refuse(taken, &reason);
                Some(file)
            }
            Err(Fault::File(reason)) => {
                self.refuse(taken, &reason);
                None
            }
        }
    }

    /// Applies effects as long as some are queued and the group is within its limits, then
    /// commits. Taking and applying alternate, so what arrives meanwhile joins the group.
    fn fill(
        &mut self,
        connection: &Connection,
        now: Instant,
        taken: &mut Vec<Job>,
    ) -> Result<Vec<Result<Reply, SinkError>>, Fault> {
        let mut group = Group::begin(connection)?;
        let mut outcomes = Vec::with_capacity(taken.capacity());
        let (mut bytes, most) = (0, self.limits.sizes.group());
        while let Some(job) = taken.get(outcomes.len()) {
            let outcome = match group.apply(&job.effect) {
                Ok(reply) => Ok(reply),
                Err(Fault::Record(reason)) => Err(SinkError::Record { reason }),
                Err(fault) => return Err(fault),
            };
            bytes += job.weight + outcome.as_ref().map_or(0, reply_weight);
            outcomes.push(outcome);
            if taken.len() < self.limits.group_effects && bytes < most {
                taken.extend(self.next(now));
            }
        }
        group.commit()?;
        Ok(outcomes)
    }

    fn next(&mut self, now: Instant) -> Option<Job> {
        loop {
            let job = self.jobs.try_recv().ok()?;
            if let Some(job) = job.wanted(now) {
                return Some(job);
            }
        }
    }

    /// Refuses a group and what waits behind it: another try at the lock for each of them would
    /// make the last one wait for all. Whoever waits is taken before anybody is told: an effect that
    /// comes as an answer to a refusal is tried.
    fn refuse(&mut self, mut taken: Vec<Job>, reason: &str) {
        self.facts.refused();
        let waiting = std::iter::from_fn(|| self.jobs.try_recv().ok());
        taken.extend(waiting.take(self.limits.group_effects));
        for job in taken {
            job.tell(Err(SinkError::Unavailable {
                reason: reason.to_owned(),
            }));
        }
    }
}
