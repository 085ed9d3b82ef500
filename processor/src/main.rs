//! The processor without stages of a user's own.
//! Layer: shell

use std::process::ExitCode;

use penstock_processor::{run::main_with, stages::custom::Registry};

fn main() -> ExitCode {
    main_with(Registry::default())
}
