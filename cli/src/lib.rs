//! penstock without a cluster: plan a pipeline, run it, and watch it keep its promises.
//! Layer: core
pub mod arguments;
mod object;
pub mod demo;
pub mod plan;
pub mod run;
pub mod replay;
