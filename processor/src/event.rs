//! An event: a record with its decoded body and the context that its stages share.
//! Layer: core

pub mod estimate;

pub mod parse;

pub mod body;

pub mod json;

pub mod context;

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value};

use self::{body::Body, context::Context, estimate::Estimate, json::Json, parse::DecodeError};
use crate::{failure::replay, record::Record, sinks::Provenance, stage::StageError};

/// What the stages see of a record.
pub struct Event {
    record: Arc<Record>,
    provenance: Provenance,
    estimate: OnceLock<Estimate>,
    body: OnceLock<Result<Body, DecodeError>>,
    context: Context,
    /// Stages of the present lane that are done.
    done: u16,
}

impl Event {
    /// An event that no stage has seen.
    #[must_use]
    pub fn new(record: Arc<Record>, provenance: Provenance) -> Self {
        Self {
            record,
            provenance,
            estimate: OnceLock::new(),
            body: OnceLock::new(),
            context: Context::default(),
            done: 0,
        }
    }

    /// The record as it was read.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Identity of the record for idempotent effects.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Who the record is, however often it was written: where it stood first when it was replayed
    /// from a dead letter, else its provenance. For effects that compare records, not offsets.
    #[must_use]
    pub fn identity(&self) -> Cow<'_, Provenance> {
        match replay::origin(&self.record) {
            Some(origin) => Cow::Owned(origin),
            None => Cow::Borrowed(&self.provenance),
        }
    }

    /// The partition's acknowledged commit has risen to `floor`.
    pub(crate) fn raise_floor(&mut self, floor: i64) {
        self.provenance.floor = self.provenance.floor.max(floor);
    }

    /// Bytes that the parsed body will need at most; one scan, remembered.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        self.estimate().bytes()
    }

    /// Bytes that a CEL program may need beyond the parsed body, if it reads all of it.
    #[must_use]
    pub fn interpreted_bytes(&self) -> u64 {
        self.estimate().interpreted_bytes()
    }

    fn estimate(&self) -> Estimate {
        *self
            .estimate
            .get_or_init(|| Estimate::scan(self.record.value().unwrap_or_default()))
    }

    /// The decoded value of the record, parsed on the first call of a visit and then kept until
    /// the event leaves its lane. A null value (tombstone) is JSON `null`.
    ///
    /// The memory is reserved by the chain before it runs a stage that [needs the
    /// body](crate::stage::Stage::needs).
    ///
    /// # Errors
    /// [`StageError::Record`] when the value is not one JSON document.
    pub fn body(&self) -> Result<Json<'_>, StageError> {
        let parsed = self
            .body
            .get_or_init(|| Body::parse(Arc::clone(&self.record), self.estimate()));
        match parsed {
            Ok(body) => Ok(body.root()),
            Err(error) => Err(StageError::Record {
                reason: format!("event: {error}"),
            }),
        }
    }

    /// Stages of the present lane that are done: a repeat after a failure begins behind them.
    pub(crate) fn done(&self) -> usize {
        usize::from(self.done)
    }

    /// So many stages of the lane are done; 0 when it enters the next one.
    pub(crate) fn set_done(&mut self, stages: usize) {
        self.done = u16::try_from(stages).expect("validation bounds the number of stages");
    }

    /// Frees the parsed body; a later [`Event::body`] parses again.
    pub(crate) fn drop_body(&mut self) {
        self.body.take();
    }

    /// What earlier stages left for later ones.
    #[must_use]
    pub fn context(&self) -> &Map<String, Value> {
        self.context.values()
    }

    /// Heap bytes of the context; at most [`context::MAX_CONTEXT_BYTES`].
    #[must_use]
    pub fn context_bytes(&self) -> usize {
        self.context.bytes()
    }

    /// Leaves something for later stages, in place of an older value of that name.
    ///
    /// # Errors
    /// [`StageError::Record`] when the context would grow beyond its limit.
    pub fn put_context(&mut self, name: &str, value: Value) -> Result<(), StageError> {
        self.context
            .put(name, value)
            .map_err(|error| StageError::Record {
                reason: format!("context.{name}: {error}"),
            })
    }
}
