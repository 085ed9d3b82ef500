//! A stage: one step on the way of an event. The one trait that users implement, too.
//! Layer: core

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;

use crate::{event::Event, sinks::SinkError};

/// What a stage decided about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next stage.
    Continue,
    /// Finished early, on purpose.
    Finish(Finish),
}

/// Why an event needs no further stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A filter said no.
    Filtered,
    /// Another record had the same id.
    Duplicate,
}

/// Why a stage could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The record causes it, every time: decode, expression. Trying again cannot help.
    #[error("{reason}")]
    Record {
        /// Lower-case fragment that names field, value and what would be legal; no payload.
        reason: String,
    },
    /// A sink rejected what the record asks for. Costs an attempt: a sink's schema may change.
    #[error("sink {sink} rejected the record: {reason}")]
    Rejected {
        /// Name of the sink in the object.
        sink: Arc<str>,
        /// Lower-case fragment without payload.
        reason: String,
    },
    /// The parsed form would not fit the active budget: never retried.
    #[error("parsed size of {estimate} bytes exceeds the budget of {budget} bytes")]
    TooComplex {
        /// Estimated bytes.
        estimate: u64,
        /// Budget for active events, bytes.
        budget: u64,
    },
    /// A sink causes it. Costs no attempt; the key waits behind the sink's breaker.
    #[error("sink {sink}: {reason}")]
    Sink {
        /// Name of the sink in the object.
        sink: Arc<str>,
        /// Lower-case fragment without payload.
        reason: String,
    },
}

impl StageError {
    /// Blames the record or the named sink, as the sink's error says.
    #[must_use]
    pub fn from_sink(sink: &Arc<str>, error: &SinkError) -> Self {
        match error {
            SinkError::Record { reason } => Self::Rejected {
                sink: Arc::clone(sink),
                reason: reason.clone(),
            },
            SinkError::Unavailable { reason } => Self::Sink {
                sink: Arc::clone(sink),
                reason: reason.clone(),
            },
            SinkError::Elsewhere { sink, reason } => Self::Sink {
                sink: Arc::clone(sink),
                reason: reason.clone(),
            },
        }
    }
}

/// Result of one stage.
pub type StageResult = Result<Verdict, StageError>;

/// A stage that needs no IO answers at once and allocates nothing; the others hand out a future.
pub enum Step<'a> {
    /// The answer.
    Ready(StageResult),
    /// The answer, later.
    Pending(BoxFuture<'a, StageResult>),
}

impl<'a> Step<'a> {
    /// A step that continues.
    #[must_use]
    pub fn next() -> Self {
        Self::Ready(Ok(Verdict::Continue))
    }

    /// A step that is still running.
    pub fn pending(future: impl Future<Output = StageResult> + Send + 'a) -> Self {
        Self::Pending(Box::pin(future))
    }
}

/// What a stage looks at, so that a body is parsed, and its memory reserved, only when needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The record's metadata and raw bytes, and the context.
    Record,
    /// The decoded body, too.
    Body,
}

/// One step of a pipeline.
///
/// Events of one key enter a stage one at a time and in log order; events of other keys run beside
/// them. A stage may be entered again with the same record after a failure or a crash: its effects
/// must be idempotent, for which [`Event::provenance`] is there.
pub trait Stage: Send + Sync {
    /// Works on one event until `deadline`; after it the future is dropped and the attempt counts
    /// as the sink's fault.
    fn run<'a>(&'a self, event: &'a mut Event, deadline: Instant) -> Step<'a>;

    /// What [`Stage::run`] looks at. A stage that answers [`Needs::Record`] must not call
    /// [`Event::body`], whose memory would then be in no budget.
    fn needs(&self) -> Needs {
        Needs::Body
    }
}
