//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core

pub mod record;

pub mod event;

pub mod stage;

pub mod stages;

pub mod chain;

pub mod failure;

pub mod sinks;

pub mod publish;
