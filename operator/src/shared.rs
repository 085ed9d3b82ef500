//! What is remembered between reconciles: nothing that a restart could not find again.
//! Layer: shell

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;
use parking_lot::{Mutex, RwLock};

use crate::{
    metrics::Metrics,
    pods::SharedRoster,
    readings::{FleetReading, PodReading},
    reconcile::{Context, observe::Surroundings},
    resource::EventPipeline,
    rivals,
};

/// Namespace and name.
pub type Key = (String, String);

/// Shared by the reconciles, the watch on pods and the scraper.
pub struct Shared {
    /// What every reconcile works with.
    pub context: Context,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The pipelines, one store for each watch.
    pub stores: RwLock<Vec<Store<EventPipeline>>>,
    roster: RwLock<SharedRoster>,
    readings: Mutex<HashMap<Key, FleetReading>>,
    attempts: Mutex<HashMap<Key, u32>>,
}

impl Shared {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(context: Context, metrics: Arc<Metrics>) -> Self {
        Self {
            context,
            metrics,
            stores: RwLock::default(),
            roster: RwLock::default(),
            readings: Mutex::default(),
            attempts: Mutex::default(),
        }
    }

    /// Every pipeline that is watched.
    #[must_use]
    pub fn pipelines(&self) -> Vec<Arc<EventPipeline>> {
        self.stores.read().iter().flat_map(Store::state).collect()
    }

    /// Begins another roster of pods, for a watch to write into.
    #[must_use]
    pub fn new_roster(&self) -> SharedRoster {
        let roster = SharedRoster::default();
        *self.roster.write() = Arc::clone(&roster);
        roster
    }

    /// What is known of a pipeline beside the API server.
    #[must_use]
    pub fn surroundings(&self, object: &EventPipeline) -> Surroundings {
        let reading = self.readings.lock().get(&key(object)).cloned();
        Surroundings {
            now: Timestamp::now(),
            crew: self.roster.read().lock().crew(object),
            reading: reading.unwrap_or_default(),
            rivals: rivals::of(object, &self.pipelines()),
        }
    }

    /// What the pods of a pipeline said last.
    #[must_use]
    pub fn reading(&self, key: &Key) -> FleetReading {
        self.readings.lock().get(key).cloned().unwrap_or_default()
    }

    /// Keeps what was said; answers whether it is news.
    pub fn hear(&self, key: &Key, pods: BTreeMap<String, PodReading>) -> Heard {
        let mut readings = self.readings.lock();
        let now = FleetReading { pods };
        let before = readings.get(key).cloned().unwrap_or_default();
        let news = now.is_news(&before);
        if now.pods.is_empty() {
            readings.remove(key);
        } else {
            readings.insert(key.clone(), now);
        }
        if news { Heard::News } else { Heard::Nothing }
    }

    /// Counts another failure in a row, from 0.
    #[must_use]
    pub fn failed(&self, object: &EventPipeline) -> u32 {
        let mut attempts = self.attempts.lock();
        let count = attempts.entry(key(object)).or_default();
        let attempt = *count;
        *count = count.saturating_add(1);
        attempt
    }

    /// Forgets the failures.
    pub fn succeeded(&self, object: &EventPipeline) {
        self.attempts.lock().remove(&key(object));
    }

    /// Forgets pipelines that are gone.
    pub fn forget_others(&self, there: &HashSet<Key>) {
        self.attempts.lock().retain(|key, _| there.contains(key));
        self.readings.lock().retain(|key, _| there.contains(key));
        let uids = self.pipelines().into_iter();
        let uids = uids.filter_map(|object| object.metadata.uid.clone());
        self.context.memory.forget_others(there, &uids.collect());
    }
}

/// Whether something new was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Worth a reconcile.
    News,
    /// Not.
    Nothing,
}

/// The key of an object.
#[must_use]
pub fn key(object: &EventPipeline) -> Key {
    let metadata = &object.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
