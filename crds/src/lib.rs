//! The `EventPipeline` object: what users write, and the validated form that everything else reads.
//! Layer: core

pub mod civil;
pub mod event_pipeline;
pub mod expression;
pub mod index_pattern;
pub mod names;
pub mod pipeline;
pub mod quantity;
