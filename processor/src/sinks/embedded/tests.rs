//! Embedded.
//! Layer: test
