//! Where counters are flushed to: absolute values under a version that only grows.
//! Layer: core

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;

use super::SinkError;

/// A document that holds counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Collection or index name.
    pub collection: Arc<str>,
    /// Document id.
    pub id: String,
}

/// The counters of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Field name, dots descend, and absolute value.
    pub fields: Vec<(Arc<str>, i64)>,
    /// Grows with every change of the fields; 1 to `i64::MAX`. Of a document that was read, 0 when
    /// nobody has flushed to it.
    pub version: u64,
}

/// One document of a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which document.
    pub place: Place,
    /// What it holds from now on.
    pub counters: Counters,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored now, or was by an earlier flush of the same version.
    Stored,
    /// A greater version is stored. That is a success: whoever wrote it knew more.
    Newer,
}

/// A store of documents that takes flushes. The caller bounds the batch, in rows and bytes.
pub trait FlushTarget: Send + Sync {
    /// Writes rows, each unless a greater version is stored, and answers for each in their order.
    ///
    /// Dropping the future undoes nothing; a repeat is harmless by its version.
    fn write<'a>(
        &'a self,
        rows: &'a [Row],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Written, SinkError>>>;

    /// Reads what was flushed; `None` when there is nothing yet.
    fn read<'a>(
        &'a self,
        place: &'a Place,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<Counters>, SinkError>>;
}
