//! The conditions: one judgement each, never a phase.
//! Layer: core

pub mod drained;
mod usable;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    Situation,
    rollout::{Failure, Rollout},
};
use crate::{
    form::{Drain, DrainOutcome, LastOom},
    obstacle::Obstacle,
    reconcile::plan::{Fleet, whole_seconds},
    wishes::State,
};

/// Longest message, bytes; a status stays small whatever an API server or a broker says.
const MESSAGE_MAX: usize = 1024;

/// What the conditions are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    /// Course, cluster and obstacle.
    pub situation: &'a Situation<'a>,
    /// How far the Deployment is.
    pub rollout: &'a Rollout,
    /// How far a drain is.
    pub drain: Option<&'a Drain>,
    /// A kill of the current revision.
    pub oom: Option<&'a LastOom>,
}

/// Types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Everything that was asked for is there and works.
    Ready,
    /// The source can be used.
    SourceReady,
    /// Every sink can be used.
    SinksReady,
    /// The plan fits, and no pod of this revision was killed for its memory.
    MemoryFits,
    /// Nothing is in flight, and nothing is admitted.
    Drained,
    /// Work is under way for this generation; only there while true.
    Reconciling,
    /// Nothing goes on without a change from outside; only there while true.
    Stalled,
}

impl Type {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::SourceReady => "SourceReady",
            Self::SinksReady => "SinksReady",
            Self::MemoryFits => "MemoryFits",
            Self::Drained => "Drained",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// What is said of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    status: Status,
    reason: String,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    True,
    False,
    Unknown,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Word {
    fn new(status: Status, reason: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    fn of(status: Status, obstacle: &Obstacle) -> Self {
        Self::new(status, obstacle.reason(), obstacle.message())
    }
}

/// Judges every type; the time of a condition is that of its last change.
#[must_use]
pub fn judge(judgement: &Judgement<'_>, before: &[Condition]) -> Vec<Condition> {
    let kept = |kind: Type| before.iter().find(|found| found.type_ == kind.name());
    let source = judgement
        .source()
        .or_else(|| kept(Type::SourceReady).map(word));
    let sinks = judgement
        .sinks()
        .or_else(|| kept(Type::SinksReady).map(word));
    let memory = judgement
        .memory()
        .or_else(|| kept(Type::MemoryFits).map(word));
    let unknown = || Word::new(Status::Unknown, "NotChecked", "not checked yet");
    let (source, sinks, memory) = (
        source.unwrap_or_else(unknown),
        sinks.unwrap_or_else(unknown),
        memory.unwrap_or_else(unknown),
    );
    let words = [
        (Type::Drained, Some(judgement.drained())),
        (Type::MemoryFits, Some(memory.clone())),
        (
            Type::Ready,
            Some(judgement.ready(&[&source, &sinks, &memory])),
        ),
        (Type::Reconciling, judgement.reconciling()),
        (Type::SinksReady, Some(sinks)),
        (Type::SourceReady, Some(source)),
        (Type::Stalled, judgement.stalled()),
    ];
    let words = words
        .into_iter()
        .filter_map(|(kind, word)| Some((kind, word?)));
    words
        .map(|(kind, word)| judgement.condition(kind, word, kept(kind)))
        .collect()
}

fn word(condition: &Condition) -> Word {
    let status = match condition.status.as_str() {
        "True" => Status::True,
        "False" => Status::False,
        _ => Status::Unknown,
    };
    Word::new(status, &condition.reason, condition.message.clone())
}

impl Judgement<'_> {
    fn condition(&self, kind: Type, word: Word, before: Option<&Condition>) -> Condition {
        let same = before.filter(|before| before.status == word.status.name());
        let now = Time(whole_seconds(self.situation.observed.now));
        Condition {
            type_: kind.name().to_owned(),
            status: word.status.name().to_owned(),
            reason: word.reason,
            message: cut(word.message),
            observed_generation: Some(self.situation.subject.generation),
            last_transition_time: same.map_or(now, |same| same.last_transition_time.clone()),
        }
    }

    fn fleet(&self) -> Option<&Fleet> {
        self.situation.fleet()
    }

    fn ready(&self, others: &[&Word]) -> Word {
        if let Some(obstacle) = self.situation.obstacle() {
            return Word::of(Status::False, obstacle);
        }
        let state = self
            .fleet()
            .map_or(State::Running, |fleet| fleet.valid.wishes.state);
        if state != State::Running {
            return Word::new(Status::False, state.name(), "spec.state says so");
        }
        if let Some((failure, message)) = &self.rollout.failure {
            return Word::new(Status::False, reason(*failure), message.clone());
        }
        if let Some(bad) = others.iter().find(|word| word.status == Status::False) {
            return (*bad).clone();
        }
        if !self.rollout.is_complete() {
            return Word::new(Status::False, "RollingOut", self.progress());
        }
        let ready = format!("{} of {} pods", self.rollout.ready, self.rollout.desired);
        Word::new(Status::True, "Ready", ready)
    }

    fn progress(&self) -> String {
        let Rollout {
            desired,
            ready,
            updated,
            ..
        } = self.rollout;
        let trouble = self.situation.observed.pods.iter().find_map(|pod| {
            pod.trouble
                .as_ref()
                .map(|trouble| format!("; pod {}: {trouble}", pod.name))
        });
        let trouble = trouble.unwrap_or_default();
        format!("{updated} of {desired} pods are of this revision, {ready} ready{trouble}")
    }

    fn reconciling(&self) -> Option<Word> {
        match self.situation.obstacle() {
            Some(obstacle) if obstacle.stalls() => return None,
            Some(obstacle) => return Some(Word::of(Status::True, obstacle)),
            None => {}
        }
        if self.rollout.failure.is_some() {
            return None;
        }
        if let Some(drain) = self.drain {
            let word = self.draining(drain);
            let under_way = word.status == Status::False && drain.outcome == DrainOutcome::Draining;
            if under_way {
                return Some(Word {
                    status: Status::True,
                    ..word
                });
            }
        }
        let under_way = !self.rollout.is_complete();
        under_way.then(|| Word::new(Status::True, "RollingOut", self.progress()))
    }

    fn stalled(&self) -> Option<Word> {
        if let Some(obstacle) = self.situation.obstacle() {
            return obstacle.stalls().then(|| Word::of(Status::True, obstacle));
        }
        if let Some((failure, message)) = &self.rollout.failure {
            return Some(Word::new(Status::True, reason(*failure), message.clone()));
        }
        let over = |drain: &&Drain| drain.outcome == DrainOutcome::DeadlineExceeded;
        let drain = self.drain.filter(over)?;
        self.rollout.is_complete().then(|| Word {
            status: Status::True,
            ..self.draining(drain)
        })
    }
}

const fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::Deadline => "ProgressDeadlineExceeded",
        Failure::PodsRefused => "PodsRefused",
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_MAX {
        let end = message.floor_char_boundary(MESSAGE_MAX - '…'.len_utf8());
        message.truncate(end);
        message.push('…');
    }
    message
}
