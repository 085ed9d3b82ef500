//! Runs the groups of a sink: a bounded queue, one task that writes, an answer for each effect.
//! Layer: shell

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    Action, Effect, Reply, Sink, SinkError,
    grouping::{GroupLimits, Grouping, Size},
    weight::weight,
};
use crate::elastic::{Above, Elastic};

/// Writes groups to a store; one at a time.
pub trait GroupWriter: Send + 'static {
    /// Writes a group, in any order: no two of its effects concern one document. Ends soon after
    /// the deadline, which is the latest of its effects.
    fn write<'a>(&'a mut self, group: &'a [Effect], deadline: Instant) -> BoxFuture<'a, Written>;
}

/// What came of a group.
#[derive(Debug)]
pub enum Written {
    /// One verdict for each effect, in the order of the group.
    Each(Vec<Verdict>),
    /// Nothing was written, because the request as a whole was refused: its halves are tried, down
    /// to the effect that is to blame.
    Refused(Refusal),
}

/// Why a whole request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More bytes than the store takes at once; later groups are smaller.
    TooLarge,
    /// Something in it; a lower-case fragment without payload.
    Content(String),
}

/// What came of one effect of a group.
#[derive(Debug)]
pub enum Verdict {
    /// It is settled.
    Answer(Result<Reply, SinkError>),
    /// The store was too busy for it and may have room later; says in what way.
    Again(&'static str),
}

impl Written {
    /// The same failure of the sink for a whole group.
    #[must_use]
    pub fn unavailable(effects: usize, reason: &str) -> Self {
        let verdict = || {
            Verdict::Answer(Err(SinkError::Unavailable {
                reason: reason.to_owned(),
            }))
        };
        Self::Each(std::iter::repeat_with(verdict).take(effects).collect())
    }
}

/// Sizes of queue and groups; from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupedSettings {
    /// Effects that may wait in the queue.
    pub queue_effects: usize,
    /// Bytes of effects that wait or are being written. An effect larger than all of it passes
    /// alone.
    pub queue_bytes: u32,
    /// Sizes of a group.
    pub group: GroupLimits,
}

/// A queue in front of a [`GroupWriter`]. Dropping it leaves unwritten what is not written yet.
pub struct Grouped {
    jobs: mpsc::Sender<Job>,
    bytes: Elastic,
    hasher: RandomState,
    facts: Arc<Facts>,
    writer: JoinHandle<()>,
}

/// Figures of a grouped sink since its start; read one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupedHealth {
    /// Bytes of effects that wait or are being written.
    pub queue_bytes: u64,
    /// Groups written, whatever came of them.
    pub groups: u64,
    /// Their effects.
    pub effects: u64,
    /// Effects that the store was too busy for, counted each time.
    pub put_off: u64,
    /// Requests that were refused as a whole.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Facts {
    groups: AtomicU64,
    effects: AtomicU64,
    put_off: AtomicU64,
    refused: AtomicU64,
}

/// An effect on its way; its bytes return to the queue's budget when it is dropped.
struct Job {
    effect: Effect,
    ticket: Ticket,
}

/// What is kept of an effect while it is written.
struct Ticket {
    size: Size,
    deadline: Instant,
    answer: oneshot::Sender<Result<Reply, SinkError>>,
    /// Held, never read.
    _permit: OwnedSemaphorePermit,
}

impl Grouped {
    /// Starts the task that writes; call it inside a runtime.
    pub fn start(settings: GroupedSettings, writer: impl GroupWriter) -> Self {
        let (jobs, queue) = mpsc::channel(settings.queue_effects.max(1));
        let facts = Arc::new(Facts::default());
        let task = Task {
            jobs: queue,
            grouping: Grouping::new(settings.group),
            writer,
            facts: Arc::clone(&facts),
        };
        Self {
            jobs,
            bytes: Elastic::new(settings.queue_bytes.max(1)),
            hasher: RandomState::new(),
            facts,
            writer: tokio::spawn(task.run()),
        }
    }

    /// Figures for the status.
    #[must_use]
    pub fn health(&self) -> GroupedHealth {
        let waiting = self.bytes.size().saturating_sub(self.bytes.available());
        GroupedHealth {
            queue_bytes: waiting.into(),
            groups: self.facts.groups.load(Relaxed),
            effects: self.facts.effects.load(Relaxed),
            put_off: self.facts.put_off.load(Relaxed),
            refused: self.facts.refused.load(Relaxed),
        }
    }

    async fn queue(&self, effect: Effect, deadline: Instant) -> Result<Reply, SinkError> {
        let weight = weight(&effect);
        let share = u32::try_from(weight).unwrap_or(u32::MAX);
        let permit = self.bytes.acquire_owned(share, Above::Alone).await;
        let permit = permit.ok_or_else(|| ended(()))?;
        let lane = self.lane(&effect);
        let (answer, reply) = oneshot::channel();
        let ticket = Ticket {
            size: Size { lane, weight },
            deadline,
            answer,
            _permit: permit,
        };
        let job = Job { effect, ticket };
        self.jobs.send(job).await.map_err(ended)?;
        reply.await.map_err(ended)?
    }

    /// Effects of one document keep their order. Two documents that share a number only wait for
    /// each other.
    fn lane(&self, effect: &Effect) -> Option<u64> {
        match &effect.action {
            Action::Create { index, id, .. } => Some(self.hasher.hash_one((&**index, id))),
            Action::Upsert { collection, id, .. } => {
                Some(self.hasher.hash_one((&**collection, id)))
            }
            Action::Count { .. } | Action::Unique { .. } => None,
        }
    }
}

impl Drop for Grouped {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// The deadline is looked at when the effect's turn comes: one that is over is refused. Waiting is
/// ended by the caller dropping the future, as the guard in front does.
impl Sink for Grouped {
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>> {
        Box::pin(self.queue(effect, deadline))
    }

    /// Groups are made of what the queue holds, so its bytes bound them, too.
    fn taken_permille(&self) -> u64 {
        self.bytes.taken_permille()
    }

    fn resize(&self, sizes: &SinkPlan) {
        let queue = u32::try_from(sizes.batch.0).unwrap_or(u32::MAX);
        self.bytes.resize(queue.max(1));
    }
}

/// State of the task that writes.
struct Task<W> {
    jobs: mpsc::Receiver<Job>,
    grouping: Grouping<Job>,
    writer: W,
    facts: Arc<Facts>,
}

impl<W: GroupWriter> Task<W> {
    /// Writes group after group until the sink is dropped.
    async fn run(mut self) {
        loop {
            if self.grouping.is_empty() {
                let Some(job) = self.jobs.recv().await else {
                    return;
                };
                self.grouping.offer(job.ticket.size, job);
            }
            self.fill().await;
            let now = now();
            let taken = self.grouping.take().into_iter();
            let wanted: Vec<_> = taken.filter_map(|job| job.wanted(now)).collect();
            if !wanted.is_empty() {
                self.write(wanted).await;
            }
        }
    }

    /// Takes what is queued, and waits for company as long as the core says.
    async fn fill(&mut self) {
        let until = self.grouping.linger(now());
        while self.grouping.wants_more() {
            let next = tokio::time::timeout_at(until.into(), self.jobs.recv()).await;
            let Ok(Some(job)) = next else {
                return;
            };
            self.grouping.offer(job.ticket.size, job);
        }
    }

    async fn write(&mut self, group: Vec<Job>) {
        let (effects, tickets): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|job| (job.effect, job.ticket))
            .unzip();
        let verdicts = self.verdicts(&effects, &tickets).await;
        self.facts.groups.fetch_add(1, Relaxed);
        self.facts.effects.fetch_add(effects.len() as u64, Relaxed);
        let mut again = Vec::new();
        for ((effect, ticket), verdict) in effects.into_iter().zip(tickets).zip(verdicts) {
            match verdict {
                Verdict::Answer(outcome) => Job { effect, ticket }.tell(outcome),
                Verdict::Again(reason) => again.push((reason, Job { effect, ticket })),
            }
        }
        if again.is_empty() {
            self.grouping.calm();
        } else {
            self.put_off(again).await;
        }
    }

    /// One verdict for each effect: of the whole group, or of its parts where it is refused.
    async fn verdicts(&mut self, effects: &[Effect], tickets: &[Ticket]) -> Vec<Verdict> {
        let latest = tickets.iter().map(|ticket| ticket.deadline).max();
        let deadline = latest.unwrap_or_else(now);
        let mut verdicts = Vec::with_capacity(effects.len());
        let whole = 0..effects.len();
        let mut parts = Vec::from([whole]);
        while let Some(part) = parts.pop() {
            match self.writer.write(&effects[part.clone()], deadline).await {
                Written::Each(each) => {
                    debug_assert_eq!(each.len(), part.len(), "a verdict for each effect");
                    verdicts.extend(each);
                }
                Written::Refused(refusal) => {
                    self.facts.refused.fetch_add(1, Relaxed);
                    if part.len() == 1 {
                        verdicts.push(Verdict::Answer(Err(refusal.into())));
                        continue;
                    }
                    if refusal == Refusal::TooLarge {
                        let tickets = tickets[part.clone()].iter();
                        let bytes = tickets.map(|ticket| ticket.size.weight).sum();
                        self.grouping.too_large(bytes);
                    }
                    parts.extend(halves(part));
                }
            }
        }
        verdicts
    }

    /// Leaves a busy store alone for a while; whoever would not live to see the next group is told
    /// now.
    async fn put_off(&mut self, again: Vec<(&'static str, Job)>) {
        self.facts.put_off.fetch_add(again.len() as u64, Relaxed);
        let until = now() + self.grouping.busy(rand::random());
        let mut patient = Vec::with_capacity(again.len());
        for (reason, job) in again {
            if job.ticket.deadline <= until {
                job.tell(Err(unavailable(reason)));
            } else {
                patient.push((job.ticket.size, job));
            }
        }
        self.grouping.again(patient);
        tokio::time::sleep_until(until.into()).await;
    }
}

/// The second half first, because parts are taken from the end.
fn halves(part: Range<usize>) -> [Range<usize>; 2] {
    let middle = part.start + part.len() / 2;
    [middle..part.end, part.start..middle]
}

impl From<Refusal> for SinkError {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::TooLarge => "larger than the store takes at once".to_owned(),
            Refusal::Content(reason) => reason,
        };
        Self::Record { reason }
    }
}

impl Job {
    /// Answers, its bytes returned before; a caller that has given up is not told.
    fn tell(self, outcome: Result<Reply, SinkError>) {
        let Ticket {
            answer, _permit, ..
        } = self.ticket;
        drop((self.effect, _permit));
        drop(answer.send(outcome));
    }

    /// The job, unless its caller has given up or its deadline has passed in the queue.
    fn wanted(self, now: Instant) -> Option<Self> {
        if self.ticket.answer.is_closed() {
            return None;
        }
        if self.ticket.deadline <= now {
            self.tell(Err(unavailable("deadline passed in the queue")));
            return None;
        }
        Some(self)
    }
}

/// The runtime's clock, so that tests may stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn ended<E>(_: E) -> SinkError {
    unavailable("the task that writes has ended")
}

fn unavailable(reason: &str) -> SinkError {
    SinkError::Unavailable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
