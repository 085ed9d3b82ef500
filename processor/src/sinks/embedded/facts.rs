//! Figures of the writer for `/status`, kept without a lock.
//! Layer: shell

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What the writer has done so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    groups: AtomicU64,
    refused_groups: AtomicU64,
    effects: AtomicU64,
    last_group_effects: AtomicU64,
    last_group_micros: AtomicU64,
    longest_group_micros: AtomicU64,
}

/// State of an embedded sink at one moment; the fields are read one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedHealth {
    /// Effects that wait for the writer.
    pub queue_effects: u64,
    /// Bytes of effects that wait or are being written.
    pub queue_bytes: u64,
    /// Groups committed.
    pub groups: u64,
    /// Groups refused: locked, read-only, full or failing file.
    pub refused_groups: u64,
    /// Effects answered after a commit, rejected ones included.
    pub effects: u64,
    /// Effects of the last committed group.
    pub last_group_effects: u64,
    /// Time from the first effect taken to the commit done of the last group, µs.
    pub last_group_micros: u64,
    /// The longest of these, µs.
    pub longest_group_micros: u64,
}

impl Facts {
    pub(super) fn committed(&self, effects: usize, took: Duration) {
        let effects = u64::try_from(effects).unwrap_or(u64::MAX);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.groups.fetch_add(1, Relaxed);
        self.effects.fetch_add(effects, Relaxed);
        self.last_group_effects.store(effects, Relaxed);
        self.last_group_micros.store(micros, Relaxed);
        self.longest_group_micros.fetch_max(micros, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused_groups.fetch_add(1, Relaxed);
    }

    pub(super) fn health(&self, queue_effects: u64, queue_bytes: u64) -> EmbeddedHealth {
        EmbeddedHealth {
            queue_effects,
            queue_bytes,
            groups: self.groups.load(Relaxed),
            refused_groups: self.refused_groups.load(Relaxed),
            effects: self.effects.load(Relaxed),
            last_group_effects: self.last_group_effects.load(Relaxed),
            last_group_micros: self.last_group_micros.load(Relaxed),
            longest_group_micros: self.longest_group_micros.load(Relaxed),
        }
    }
}
