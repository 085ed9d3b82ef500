//! What reconciles remember of their own calls, so that they need not ask again.
//! Layer: shell
//!
//! Nothing that a restart could not find again, and nothing without which anything would be wrong.

use std::collections::{HashMap, HashSet};

use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

use crate::{
    resource::EventPipeline,
    shared::Key,
    staleness::{self, Written},
    subject::Subject,
};

/// Shared by the reconciles and the watches.
#[derive(Debug, Default)]
pub struct Memory {
    written: Mutex<HashMap<Key, Written>>,
}

impl Memory {
    /// Keeps the version that a write of ours made of a pipeline.
    pub fn wrote(&self, subject: &Subject, version: Option<String>, at: Timestamp) {
        let Some(version) = version else { return };
        let key = (subject.namespace.clone(), subject.name.clone());
        let uid = subject.uid.clone();
        let written = Written { uid, version, at };
        self.written.lock().insert(key, written);
    }

    /// Whether the object is older than our last write into it.
    #[must_use]
    pub fn is_ahead_of(&self, object: &EventPipeline, now: Timestamp) -> bool {
        let Some(subject) = Subject::of(object) else {
            return false;
        };
        let (uid, version) = (subject.uid, subject.version);
        let written = self.written.lock();
        let written = written.get(&(subject.namespace, subject.name));
        written.is_some_and(|written| staleness::waits((&uid, &version), written, now))
    }

    /// Forgets pipelines that are gone.
    pub fn forget_others(&self, there: &HashSet<Key>) {
        self.written.lock().retain(|key, _| there.contains(key));
    }
}
