//! What two crates must say alike.
//! Layer: test

mod plan;
mod quantity;
