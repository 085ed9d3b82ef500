//! Turns EventPipeline objects into fleets of processors.
//! Layer: core
//!
//! ```text
//!  pipelines, children, pods ──watch──▶ controller ──▶ reconcile ──▶ API server
//!  pods' /status ──scrape──▶ readings ────▶ ┘
//! ```
//! The modules stand in the order of that way: what an object is and what is seen, the reconcile
//! and what it makes, then the calls, the watches around it, and the wiring.

pub mod arguments;
pub mod permissions;

pub mod names;
pub mod kinds;
pub mod resource;
pub mod form;
pub mod wishes;
pub mod subject;
pub mod rivals;
pub mod observed;
pub mod staleness;
pub mod recall;
pub mod roster;
pub mod status_page;
pub mod readings;
pub mod findings;
pub mod obstacle;

pub mod objects;
pub mod hash;
pub mod covers;
pub mod reconcile;

pub mod call;
pub mod leadership;
pub mod memory;
pub mod api;
pub mod metrics;
pub mod shared;
pub mod pods;
pub mod scrape;
pub mod children;
pub mod controller;
pub mod lease;
pub mod election;
pub mod http;
pub mod run;
