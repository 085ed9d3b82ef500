//! What follows a failed attempt: one total match from error, attempts and policy to a directive.
//! Layer: core
//!
//! Who is to blame decides:
//!
//! | error | costs an attempt | then |
//! | --- | --- | --- |
//! | decode, expression, context too large | no further one | dead letter or block at once: the same record gives the same error every time |
//! | too complex | no further one | the same; the budget does not grow by waiting |
//! | rejected by a sink | yes | again after a pause, because a sink's schema can be mended; after the last attempt dead letter or block |
//! | sink unavailable, deadline passed | no | the key waits behind the sink's breaker, never a dead letter |

pub mod dead_letter;
pub mod replay;

use std::{sync::Arc, time::Duration};

use penstock_crds::pipeline::{self as object, OnRecordError};

use crate::{sinks::SinkError, stage::StageError};

/// Which stage failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("stage {stage}: {error}")]
pub struct Failure {
    /// Name of the stage.
    pub stage: Arc<str>,
    /// Whose fault it is.
    #[source]
    pub error: StageError,
}

/// The part of the object that failures are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    max_attempts: u32,
    backoff_initial: Duration,
    backoff_max: Duration,
    on_record_error: OnRecordError,
}

impl From<&object::Failure> for Policy {
    fn from(failure: &object::Failure) -> Self {
        Self {
            max_attempts: failure.max_attempts,
            backoff_initial: failure.backoff_initial,
            backoff_max: failure.backoff_max,
            on_record_error: failure.on_record_error,
        }
    }
}

/// What to do with a record after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Park the key and run the record again; the failed attempt counts.
    Retry {
        /// From now.
        after: Duration,
    },
    /// Park the key until the sink's breaker lets it probe; the failed attempt does not count.
    ParkBehindSink {
        /// Name of the sink, [`PRODUCER`](crate::publish::PRODUCER), or of a custom stage whose
        /// deadline passed.
        sink: Arc<str>,
    },
    /// Write a dead letter; the record is finished once that is acknowledged.
    DeadLetter {
        /// For the letter's header and the counter; no payload.
        reason: String,
    },
    /// The key waits for a person; other keys go on.
    Block {
        /// For the status; no payload.
        reason: String,
    },
}

/// Decides what follows an attempt.
///
/// `attempts` are those consumed so far, this one included; `random` is any 64 random bits, for
/// the jitter.
#[must_use]
pub fn decide(failure: &Failure, attempts: u32, policy: &Policy, random: u64) -> Directive {
    match &failure.error {
        StageError::Record { .. } | StageError::TooComplex { .. } => policy.give_up(failure),
        StageError::Rejected { .. } if attempts < policy.max_attempts => Directive::Retry {
            after: policy.pause(attempts, random),
        },
        StageError::Rejected { .. } => policy.give_up(failure),
        StageError::Sink { sink, .. } => Directive::ParkBehindSink {
            sink: Arc::clone(sink),
        },
    }
}

impl Policy {
    fn give_up(&self, failure: &Failure) -> Directive {
        let reason = failure.to_string();
        match self.on_record_error {
            OnRecordError::Block => Directive::Block { reason },
            OnRecordError::DeadLetterRecord => Directive::DeadLetter { reason },
        }
    }

    /// Full jitter: evenly between nothing and `min(maximum, initial · 2^(attempts - 1))`, which
    /// spreads the records that one rejection hit together. Source: Brooker, "Exponential Backoff
    /// And Jitter".
    fn pause(&self, attempts: u32, random: u64) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1));
        let ceiling = self
            .backoff_initial
            .saturating_mul(doubled)
            .min(self.backoff_max);
        let millis = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(random % millis.saturating_add(1))
    }
}

/// What follows a dead letter that could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterDirective {
    /// Write it again without the record's key and value.
    ByReference,
    /// Park the key behind the producer; nothing is finished until the letter is acknowledged.
    ParkBehindProducer,
    /// Even the reference was refused: the key waits for a person.
    Block,
}

/// Decides what follows a dead letter that failed.
#[must_use]
pub fn decide_letter(error: &SinkError, content: dead_letter::Content) -> LetterDirective {
    match (error, content) {
        (SinkError::Unavailable { .. } | SinkError::Elsewhere { .. }, _) => {
            LetterDirective::ParkBehindProducer
        }
        (SinkError::Record { .. }, dead_letter::Content::Whole) => LetterDirective::ByReference,
        (SinkError::Record { .. }, dead_letter::Content::Reference) => LetterDirective::Block,
    }
}

#[cfg(test)]
mod tests;
