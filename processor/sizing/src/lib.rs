//! Placeholder.
//! Layer: core
