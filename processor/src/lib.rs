//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
pub mod event;
pub mod record;
pub mod sinks;
pub mod source;
pub mod stage;
