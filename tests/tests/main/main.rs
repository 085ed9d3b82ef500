//! One binary for what no single crate can prove.
//! Layer: shell
