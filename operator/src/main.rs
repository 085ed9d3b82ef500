//! The operator.
//! Layer: shell

fn main() {}
