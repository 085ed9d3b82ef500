//! The whole processor as a process of its own, between a mock cluster and the embedded sink.
//! Layer: test

mod broker;
mod process;
mod setting;

mod bad_records;
mod custom_stage;
mod probes;
mod refusals;
mod restarts;
mod scouting;
mod steering;
