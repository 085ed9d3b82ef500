//! x
//! Layer: core
