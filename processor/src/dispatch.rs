//! The bounded keyed dispatcher: records of one key in order, of different keys in parallel.
//! Layer: core
//!
//! [`engine`] is the state machine of one partition and knows neither clock nor task; [`pool`]
//! puts each behind its lock, adds the pod's byte budget and wakes workers.

mod near;
mod key;
mod ledger;
mod slab;
mod node;
mod index;
mod lane;
mod ring;
mod hot;
pub mod engine;
mod invariants;
pub mod pool;

pub use engine::{
    Blame, Engine, EngineFacts, Epoch, Full, LaneFacts, Limits, Refused, State, Taken, Tick, Ticket,
};
pub use hot::HotKey;
pub use invariants::Violation;
pub use key::{Key, KeyHasher, NullKeys, Ordering};
pub use ledger::{Ledger, Released};

#[cfg(test)]
mod tests;
