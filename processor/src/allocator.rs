//! jemalloc for Rust and C alike, with the decay that the plan was made for.
//! Layer: shell
//!
//! The unprefixed build defines `malloc` itself. Rust's own allocator calls that, so none has to be
//! declared, and librdkafka, zstd, OpenSSL and SQLite allocate here too; a prefixed build would
//! leave them to the C library, which keeps 24 MiB of every 76 that pass through the client.
//! `tests/allocator.rs` holds us to it.
//!
//! Without the feature `jemalloc` the C library allocates: for measurements of what that costs, never
//! for an image.

#[cfg(feature = "jemalloc")]
mod jemalloc;
#[cfg(not(feature = "jemalloc"))]
mod system;

#[cfg(feature = "jemalloc")]
pub use jemalloc::{purge, set_up, state};
#[cfg(not(feature = "jemalloc"))]
pub use system::{purge, set_up, state};

/// What jemalloc does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocatorState {
    /// Arenas shared by all threads.
    pub arenas: u32,
    /// Milliseconds after which freed pages are returned.
    pub dirty_decay_ms: i64,
    /// Whether jemalloc has threads that do it on time, without waiting for the next call.
    pub background: Background,
}

/// Whether jemalloc's background threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// They do.
    Running,
    /// They do not; musl images cannot have them.
    Absent,
}
