//! The Redis sink against a real server: `PENSTOCK_TEST_REDIS=host:port`, which the tests empty.
//! Layer: test

mod effects;
mod faults;
mod model;
mod proxy;
mod server;
mod target;
mod uniques;
