//! The C library's allocator: no arenas to count, no decay to set, nothing that purges.
//! Layer: shell

use std::convert::Infallible;

use penstock_sizing::{Bytes, RuntimePlan};

use super::{AllocatorState, Background};

/// Does nothing.
///
/// # Errors
/// None.
pub fn set_up(_: &RuntimePlan) -> Result<AllocatorState, Infallible> {
    state()
}

/// Nothing that could be asked.
///
/// # Errors
/// None.
pub fn state() -> Result<AllocatorState, Infallible> {
    Ok(AllocatorState {
        arenas: 0,
        dirty_decay_ms: -1,
        background: Background::Absent,
    })
}

/// Does nothing.
///
/// # Errors
/// None.
pub fn purge() -> Result<Bytes, Infallible> {
    Ok(Bytes::ZERO)
}
