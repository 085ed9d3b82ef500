//! Stages of real pipeline objects against recording ports: effects, messages, repeats.
//! Layer: test

mod custom;
mod effects;
mod http;
mod messages;
mod ports;
mod repeats;
mod replays;
mod uniques;
mod waiting;
