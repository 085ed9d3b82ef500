//! Sinks on real document stores, told where they are by `PENSTOCK_TEST_ELASTICSEARCH`,
//! `PENSTOCK_TEST_OPENSEARCH` and `PENSTOCK_TEST_MONGODB`; `cargo e2e sinks` starts them.
//! Layer: test

mod effects;
mod mongodb;
mod search;
mod targets;
