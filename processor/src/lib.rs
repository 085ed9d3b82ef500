//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
//!
//! The modules stand in the order in which a record meets them; what the pod says about itself
//! comes last.

pub mod allocator;
pub mod limit;
pub mod plan;
pub mod record;
pub mod dispatch;
pub mod event;
pub mod stage;
pub mod stages;
pub mod chain;
pub mod failure;
pub mod publish;
pub mod work;
pub mod troubles;
pub mod clock;
pub mod backlog;
pub mod worker;
pub mod keys;
pub mod budgets;
pub mod sinks;
pub mod health;
pub mod status;
pub mod metrics;
pub mod http;
