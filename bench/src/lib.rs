//! Workloads, peers and the oracle, as modules, so that every comparison uses the same ones.
//! Layer: shell

pub mod workload;
pub mod oracle;
pub mod allocations;
pub mod clock;
pub mod engine;
pub mod published;
pub mod floor;
pub mod pool;
pub mod story;
pub mod suite;
pub mod broker;
pub mod report;
