//! Proofs about the engine: a naive reference, random steps against it, and every interleaving.
//! Layer: test

mod reference;
mod subject;
mod model;
mod search;
