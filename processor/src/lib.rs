//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
pub mod record;
pub mod event;
pub mod sinks;
pub mod stage;
pub mod plan;
