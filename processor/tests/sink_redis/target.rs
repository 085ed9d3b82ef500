//! A flush target in memory that holds to its contract and can be told to fail.
//! Layer: test

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use futures::future::BoxFuture;
use penstock_processor::sinks::{
    SinkError,
    flush_target::{Counters, FlushTarget, Place, Row, Written},
};
use tokio::sync::Semaphore;

/// Field and value by document.
pub(crate) type Documents = BTreeMap<String, BTreeMap<String, i64>>;

#[derive(Default)]
pub(crate) struct Target {
    rows: Mutex<BTreeMap<(String, String), Counters>>,
    pub(crate) down: AtomicBool,
    pub(crate) largest_batch: AtomicUsize,
    pub(crate) batches: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Reads wait here when there is one.
    pub(crate) gate: Option<Semaphore>,
}

impl Target {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// One whose reads wait for permits.
    pub(crate) fn gated() -> Arc<Self> {
        Arc::new(Self {
            gate: Some(Semaphore::new(0)),
            ..Self::default()
        })
    }

    pub(crate) fn documents(&self) -> Documents {
        let rows = self.rows.lock().expect("no panic");
        let document = |(place, counters): (&(String, String), &Counters)| {
            let fields = counters.fields.iter();
            let fields = fields.map(|(field, value)| (field.to_string(), *value));
            (format!("{}/{}", place.0, place.1), fields.collect())
        };
        rows.iter().map(document).collect()
    }

    fn store(&self, row: &Row) -> Written {
        let key = (row.place.collection.to_string(), row.place.id.clone());
        let mut rows = self.rows.lock().expect("no panic");
        let stored = rows.get(&key).map_or(0, |counters| counters.version);
        assert!(row.counters.version > 0, "versions begin at 1");
        if stored > row.counters.version {
            return Written::Newer;
        }
        if stored == row.counters.version {
            let same = rows[&key].fields == row.counters.fields;
            assert!(same, "one version has one content: {key:?} {stored}");
        }
        rows.insert(key, row.counters.clone());
        Written::Stored
    }

    fn refusal(&self) -> Option<SinkError> {
        self.down.load(SeqCst).then(|| SinkError::Unavailable {
            reason: "the target is down".to_owned(),
        })
    }
}

impl FlushTarget for Target {
    fn write<'a>(
        &'a self,
        rows: &'a [Row],
        _deadline: Instant,
    ) -> BoxFuture<'a, Vec<Result<Written, SinkError>>> {
        Box::pin(async move {
            self.batches.fetch_add(1, SeqCst);
            self.largest_batch.fetch_max(rows.len(), SeqCst);
            let write = |row| self.refusal().map_or_else(|| Ok(self.store(row)), Err);
            rows.iter().map(write).collect()
        })
    }

    fn read<'a>(
        &'a self,
        place: &'a Place,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<Counters>, SinkError>> {
        Box::pin(async move {
            self.reads.fetch_add(1, SeqCst);
            if let Some(gate) = &self.gate {
                gate.acquire().await.expect("open").forget();
            }
            if let Some(refusal) = self.refusal() {
                return Err(refusal);
            }
            let key = (place.collection.to_string(), place.id.clone());
            Ok(self.rows.lock().expect("no panic").get(&key).cloned())
        })
    }
}
