//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
pub mod event;
pub mod health;
pub mod http;
pub mod metrics;
pub mod record;
pub mod sinks;
pub mod stage;
pub mod status;
