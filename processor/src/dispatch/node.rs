//! A record inside the engine, in one cell from admission to its end.
//! Layer: core

use super::{key::Key, slab::NIL};

/// A record inside the engine; it stays in one cell on its way through all lanes.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Node<T> {
    /// `None` while a worker holds it.
    pub(super) payload: Option<T>,
    pub(super) sequence: u64,
    pub(super) charge: u64,
    /// Of its key; 0 for a key of its own.
    pub(super) hash: u64,
    /// Next record of its key in `lane`.
    pub(super) next: u32,
    /// Last record of its key in `lane`; kept at the oldest one only.
    pub(super) tail: u32,
    /// Next key in the bucket of the lane's index; of the oldest one only.
    pub(super) bucket: u32,
    pub(super) attempts: u16,
    pub(super) lane: u8,
    pub(super) place: Place,
    /// Whether other records may wait behind it.
    pub(super) keyed: bool,
}

/// Where a record is. All but the first two are said of the oldest record of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// Behind an older record of its key.
    Behind,
    /// In the ready list.
    Ready,
    /// With a worker.
    Running,
    /// Until its retry time.
    Parked,
    /// Until the epoch ends.
    Blocked,
}

impl<T> Node<T> {
    /// A record that has just come and is in no lane yet.
    #[inline]
    pub(super) fn new(payload: T, key: Key, sequence: u64, charge: u64) -> Self {
        let (hash, keyed) = match key {
            Key::Hash(hash) => (hash, true),
            Key::Spread => (0, false),
        };
        Self {
            payload: Some(payload),
            sequence,
            charge,
            hash,
            next: NIL,
            tail: NIL,
            bucket: NIL,
            attempts: 0,
            lane: 0,
            place: Place::Behind,
            keyed,
        }
    }
}
