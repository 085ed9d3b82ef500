//! Which bytes of a record are its key.
//! Layer: core

use std::sync::Arc;

use penstock_crds::pipeline::{KeySource, NullKeys, Ordering, ValidatedPipeline};

use crate::{
    dispatch::{self, KeyHasher},
    record::Record,
    source::intake::Oversize,
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
        self.choose(record.key(), |name| record.header(name))
    }

    /// The same of a record that is too large to be copied.
    #[must_use]
    pub fn key_of_oversize<'a>(&self, large: &Oversize<'a>) -> Option<&'a [u8]> {
        self.choose(large.key, |name| {
            let found = large.headers.iter().find(|(n, _)| *n == name);
            found.and_then(|(_, value)| *value)
        })
    }

    fn choose<'a>(
        &self,
        own: Option<&'a [u8]>,
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Option<&'a [u8]> {
        let key = self.header.as_ref().map_or(own, |name| header(name));
        key.or_else(|| header(self.fallback.as_ref()?))
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
