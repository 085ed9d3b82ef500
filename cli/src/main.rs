//! The `penstock` command.
//! Layer: shell

use std::{io::Write, process::ExitCode};

use clap::Parser;
use penstock_cli::{
    arguments::{Arguments, Command},
    demo, plan, replay, run,
};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Plan(arguments) => plan::command(&arguments),
        Command::Run(arguments) => run::command(&arguments),
        Command::ReplayDeadLetters(arguments) => replay::command(&arguments),
        Command::Demo(arguments) => demo::command(&arguments),
    };
    done.unwrap_or_else(|error| {
        // standard error may be closed; the exit code still tells
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}
