//! What a stage asks of an external system: one effect in, one reply out, always with provenance.
//! Layer: core
//!
//! A sink receives the effects of many concurrent records and is free to group them: a bulk
//! request, one transaction, one pipeline. Each effect is idempotent by its [`Provenance`].

pub mod document;
pub mod flush_target;
pub mod grouping;
pub mod grouped;
pub mod probe;
mod origin;
pub mod secret;
pub mod embedded;
pub mod elasticsearch;
pub mod mongodb;
pub mod guard;
pub mod outages;
pub mod kafka;
pub mod redis;
mod weight;
pub mod reach;

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use penstock_sizing::SinkPlan;
use serde_json::Value;

use crate::record::Position;

/// The record behind an effect; compared generation first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// `source.generation` of the pipeline.
    pub generation: u64,
    /// Topic name; kept beside the position because sinks outlive the order of `source.topics`.
    pub topic: Arc<str>,
    /// Partition and offset.
    pub position: Position,
    /// Acknowledged commit of the partition: every offset below it is finished for good.
    pub floor: i64,
}

/// One change to an external system.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Name of the stage; separates the provenance of two stages that write to one place.
    pub stage: Arc<str>,
    /// The record behind it.
    pub provenance: Provenance,
    /// What to do.
    pub action: Action,
}

/// The kinds of change.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a document by event id, once.
    Create {
        /// Index name, date patterns resolved from the record's timestamp.
        index: String,
        /// Event id.
        id: String,
        /// JSON text of the document.
        document: Vec<u8>,
    },
    /// Change one document, creating it when missing.
    Upsert {
        /// Collection name.
        collection: Arc<str>,
        /// Document id.
        id: String,
        /// Changes in the order written.
        changes: Vec<Change>,
        /// How a repeated record is told from a new one.
        guard: Guard,
        /// Whether the reply carries the document as it is now.
        reply: UpsertReply,
    },
    /// Add to counters of one document.
    Count {
        /// Where counters are flushed to: collection or index name.
        collection: Arc<str>,
        /// Document id of the counters.
        id: String,
        /// Field name and signed amount.
        amounts: Vec<(Arc<str>, i64)>,
    },
    /// Add a member to a set of one time window.
    Unique {
        /// Set name, window included, such as `shop-7:2026-W47`.
        set: String,
        /// Member, opaque bytes.
        member: Vec<u8>,
        /// How long the set must be kept.
        retention: Retention,
    },
}

/// How long a sink must remember the set of a window; one that forgets nothing may ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// End of the window, by the record's timestamp; milliseconds since the epoch.
    pub until_ms: i64,
    /// How much longer than the window, or than the last touch where that is later, milliseconds.
    pub margin_ms: i64,
}

/// One change to a field of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Field name; dots descend.
    pub field: Arc<str>,
    /// How.
    pub operator: Operator,
    /// Operand, already evaluated.
    pub value: Value,
}

/// The operators of an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Assign.
    Set,
    /// Assign only when the document is created.
    SetOnInsert,
    /// Add an integer.
    Inc,
    /// Keep the smaller.
    Min,
    /// Keep the larger.
    Max,
    /// Append to an array.
    Push,
    /// Append to an array unless present.
    AddToSet,
    /// Remove the field; the operand is ignored.
    Unset,
}

/// How an upsert tells a repeated record from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The document's id is the pipeline's key: apply only above the last applied offset.
    Offset,
    /// Other ids: the last writer wins; `Inc` and `Push` are refused at validation.
    LastWriter,
}

/// What an upsert answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsertReply {
    /// Only whether it was applied.
    Nothing,
    /// The document as it is after the change.
    Document,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Applied now.
    Applied,
    /// This very record had applied it before; go on.
    Redelivered,
    /// Another record had created the same id: a true duplicate, finish early.
    Duplicate,
    /// Applied or found applied, with the document as it is now.
    Document(Value),
    /// Member of a set: new in this window or seen.
    Member {
        /// Whether this effect added it (now or when it was first delivered).
        first: bool,
    },
}

/// Why an effect did not happen. Who is to blame decides what the record costs.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// The record causes it: bad document, too large. Costs an attempt.
    #[error("sink rejected the record: {reason}")]
    Record {
        /// Lower-case fragment without payload.
        reason: String,
    },
    /// The sink causes it: refused, timeout, busy, read-only, failover. Costs no attempt.
    #[error("sink unavailable: {reason}")]
    Unavailable {
        /// Lower-case fragment without payload.
        reason: String,
    },
    /// Another sink, which this one needs, causes it: this one is well. Costs no attempt.
    #[error("sink {sink} unavailable: {reason}")]
    Elsewhere {
        /// Name of that sink in the object.
        sink: Arc<str>,
        /// Lower-case fragment without payload.
        reason: String,
    },
}

impl SinkError {
    /// The reason alone, whoever is to blame.
    #[must_use]
    pub fn into_reason(self) -> String {
        match self {
            Self::Record { reason }
            | Self::Unavailable { reason }
            | Self::Elsewhere { reason, .. } => reason,
        }
    }
}

/// An external system behind one name of `sinks`.
pub trait Sink: Send + Sync {
    /// Applies one effect. Resolves once it is durable as the sink defines it.
    ///
    /// Dropping the future does not undo the effect; its provenance makes a repeat harmless.
    fn submit(&self, effect: Effect, deadline: Instant) -> BoxFuture<'_, Result<Reply, SinkError>>;

    /// Rises whenever the sink is found to have lost data: what was known of it before is void.
    fn incarnation(&self) -> u64 {
        0
    }

    /// What a person should know although operations succeed, without payload.
    fn trouble(&self) -> Option<Arc<str>> {
        None
    }

    /// Passes on what the sink holds back for others, such as counters on their way to their
    /// documents; called before the process goes and whenever everything must be settled.
    fn flush(&self, _deadline: Instant) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How much of its queue is taken, in thousandths; 0 of one that has no queue in bytes.
    fn taken_permille(&self) -> u64 {
        0
    }

    /// The memory plan has changed; what is on its way stays. Called inside a runtime. A sink that
    /// holds nothing of its size between two effects has nothing to do.
    fn resize(&self, sizes: &SinkPlan) {
        let _ = sizes;
    }
}
