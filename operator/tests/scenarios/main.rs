//! What reconcile does to a cluster: every path, a crash at every write, the rights that it used.
//! Layer: test

mod calls;
mod crash;
mod golden;
mod lease;
mod model;
mod obstacles;
mod paths;
mod remembered;
mod rights;
mod stale;
mod watched;
mod world;
