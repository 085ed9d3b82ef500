//! `penstock demo`: the storefront pipeline against an independent count of what was produced.
//! Layer: shell
pub mod audit;
pub mod bits;
pub mod calendar;
pub mod draw;
pub mod generator;
pub mod log;
pub mod payload;
pub mod reference;
pub mod sink;
pub mod storefront;
pub mod verdict;
pub mod zipf;
