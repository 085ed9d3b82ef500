//! Which bytes of a record are its key.
//! Layer: core

use std::sync::Arc;

use penstock_crds::pipeline::{KeySource, NullKeys, Ordering, ValidatedPipeline};

use crate::{
    dispatch::{self, KeyHasher},
    record::Record,
};

/// `source.key` and `source.nullKeys` of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// Header that holds the key; `None` is the record's own key.
    header: Option<Arc<str>>,
    /// Header that stands in for a missing key.
    fallback: Option<Arc<str>>,
}

impl KeyRule {
    /// The rule of a pipeline.
    #[must_use]
    pub fn of(pipeline: &ValidatedPipeline) -> Self {
        let source = &pipeline.source;
        let header = match &source.key {
            KeySource::Record => None,
            KeySource::Header(name) => Some(Arc::from(name.as_str())),
        };
        let fallback = match &source.null_keys {
            NullKeys::Header(name) => Some(Arc::from(name.as_str())),
            NullKeys::Spread | NullKeys::Single => None,
        };
        Self { header, fallback }
    }

    /// The key; `None` when the record has none.
    #[must_use]
    pub fn key<'a>(&self, record: &'a Record) -> Option<&'a [u8]> {
        let own = match &self.header {
            None => record.key(),
            Some(name) => record.header(name),
        };
        own.or_else(|| record.header(self.fallback.as_ref()?))
    }
}

/// Keys to queues, as the object orders them.
#[must_use]
pub fn hasher(pipeline: &ValidatedPipeline) -> KeyHasher {
    let ordering = match pipeline.ordering {
        Ordering::PerKey => dispatch::Ordering::PerKey,
        Ordering::PerPartition => dispatch::Ordering::PerPartition,
        Ordering::None => dispatch::Ordering::None,
    };
    let null_keys = match pipeline.source.null_keys {
        NullKeys::Spread | NullKeys::Header(_) => dispatch::NullKeys::Spread,
        NullKeys::Single => dispatch::NullKeys::Single,
    };
    KeyHasher::new(ordering, null_keys)
}
