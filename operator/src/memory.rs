//! What reconciles remember of their own calls, so that they need not ask again.
//! Layer: shell
//!
//! Nothing that a restart could not find again, and nothing without which anything would be wrong.

use std::collections::{HashMap, HashSet};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use parking_lot::Mutex;

use crate::{
    kinds::Kind,
    observed::Existing,
    recall::{Name, News, Recall, Recalled},
    resource::EventPipeline,
    shared::Key,
    staleness::{self, Written},
    subject::Subject,
};

/// Shared by the reconciles and the watches.
#[derive(Debug, Default)]
pub struct Memory {
    written: Mutex<HashMap<Key, Written>>,
    recall: Mutex<Recall>,
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

    /// What needs not be read of a child.
    #[must_use]
    pub fn recall(
        &self,
        subject: &Subject,
        child: (Kind, &str),
        now: Timestamp,
    ) -> Option<Recalled> {
        self.recall.lock().recall(subject, child, now)
    }

    /// Keeps a child as the API server answered it.
    pub fn keep(&self, subject: &Subject, existing: &Existing, at: Timestamp) {
        self.recall.lock().keep(subject, existing, at);
    }

    /// Keeps that there is no child of this name.
    pub fn keep_absent(&self, subject: &Subject, child: (Kind, &str), at: Timestamp) {
        self.recall.lock().keep_absent(subject, child, at);
    }

    /// Forgets which children were not there.
    pub fn forget_absent(&self, subject: &Subject) {
        self.recall.lock().forget_absent(subject);
    }

    /// Forgets the children of a pipeline: a write of theirs did not end as it should.
    pub fn forget(&self, subject: &Subject) {
        let others = |pipeline: &str| pipeline != subject.uid;
        self.recall.lock().forget_unless(others);
    }

    /// The watch shows a child.
    pub fn show(&self, kind: Kind, metadata: &ObjectMeta) -> News {
        self.recall.lock().show(kind, metadata)
    }

    /// The watch shows that a child has gone.
    pub fn hide(&self, kind: Kind, metadata: &ObjectMeta) {
        self.recall.lock().hide(kind, metadata);
    }

    /// A watch that began anew has shown everything of its namespaces.
    pub fn show_only(&self, kind: Kind, namespace: Option<&str>, there: &HashSet<Name>) {
        self.recall.lock().show_only(kind, namespace, there);
    }

    /// Forgets all children: before watches begin nothing that they showed counts.
    pub fn begin(&self) {
        *self.recall.lock() = Recall::default();
    }

    /// Forgets pipelines that are gone.
    pub fn forget_others(&self, there: &HashSet<Key>, uids: &HashSet<String>) {
        self.written.lock().retain(|key, _| there.contains(key));
        let stays = |pipeline: &str| uids.contains(pipeline);
        self.recall.lock().forget_unless(stays);
    }
}
