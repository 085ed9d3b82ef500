//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
pub mod record;
pub mod event;
pub mod sinks;
pub mod publish;
pub mod stage;
pub mod stages;
pub mod chain;
pub mod failure;
