//! penstock without a cluster: plan a pipeline, run it, and watch it keep its promises.
//! Layer: core
pub mod arguments;
pub mod demo;
pub mod plan;
pub mod run;
