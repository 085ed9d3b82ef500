//! The path of a record: source → dispatch → stages → sinks → commit.
//! Layer: core
//!
//! The modules stand in the order in which a record meets them: first what is derived before any
//! record comes, then the line, then what the processor says about itself, last the wiring.

pub mod allocator;
pub mod limit;
pub mod control;
pub mod settings_file;
pub use penstock_demand as plan;
pub mod budgets;
pub mod elastic;
pub mod law;

pub mod record;
pub mod source;
pub mod keys;
pub mod admission;
pub mod dispatch;
pub mod work;
pub mod clock;
pub mod worker;
pub mod event;
pub mod fingerprints;
pub mod stage;
pub mod stages;
pub mod chain;
pub mod failure;
pub mod publish;
pub mod lookups;
pub mod sinks;
pub mod stores;

pub mod troubles;
pub mod backlog;
pub mod governor;
pub mod notices;
pub mod breadcrumb;
pub mod health;
pub use penstock_crds::processor_status as status;
pub mod account;
pub mod metrics;
pub mod http;
pub mod observe;

pub mod scout;
pub mod run;
