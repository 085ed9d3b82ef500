//! The JSON schemas generated from the types as written.
//! Layer: core

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde_json::Value;

use crate::{event_pipeline::EventPipeline, settings::ProcessorSettings};

/// The schema of the object, as committed in `crds/eventpipeline.schema.json`.
#[must_use]
pub fn object() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate::<EventPipeline>)
}

/// The schema of the settings file.
#[must_use]
pub fn settings() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate::<ProcessorSettings>)
}

pub(crate) fn generate<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}
