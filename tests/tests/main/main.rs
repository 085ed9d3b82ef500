//! One binary for what no single crate can prove.
//! Layer: test

mod contracts;
mod tidy;
