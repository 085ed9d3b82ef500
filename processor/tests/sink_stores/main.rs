//! The sinks of Elasticsearch, OpenSearch and MongoDB's protocol on such servers.
//! Layer: test
//!
//! They are told by `PENSTOCK_TEST_ELASTICSEARCH`, `PENSTOCK_TEST_OPENSEARCH` and
//! `PENSTOCK_TEST_MONGODB`; `cargo e2e sinks` starts them, `cargo e2e services` for a run by hand.

mod effects;
mod mongodb;
mod search;
mod targets;
