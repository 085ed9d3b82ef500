//! The source: one thread owns the consumer, takes records and commits what is finished.
//! Layer: shell

pub mod events;
pub mod queues;
