//! Stages of real pipeline objects against recording ports: effects, messages, repeats.
//! Layer: test

mod custom;
mod effects;
mod messages;
mod ports;
mod repeats;
mod waiting;
