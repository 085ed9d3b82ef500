//! Turns EventPipeline objects into fleets of processors.
//! Layer: core
