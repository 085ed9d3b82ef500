//! Placeholder.
//! Layer: shell
fn main() {}
