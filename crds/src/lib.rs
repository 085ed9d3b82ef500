//! The `EventPipeline` object: what users write, and the validated form that everything else reads.
//! Layer: core
//!
//! No field reaches the processor unchecked, and no fault hides another: see [`parse`].

pub mod event_pipeline;
pub mod settings;

mod document;
mod parse;
pub mod schema;
mod structure;
mod validate;

pub mod fault;
pub mod pipeline;

pub mod custom_resource;
pub mod change;
pub mod status;
pub mod processor_status;
pub mod scout;

pub mod civil;
pub mod expression;
pub mod index_pattern;
pub mod names;
pub mod quantity;

pub use crate::{
    fault::{Fault, Faults},
    parse::{Parsed, parse, validate},
    settings::parse_settings,
};
