//! Runs one event through one lane.
//! Layer: shell
