//! `penstock run`: a pipeline in this process.
//! Layer: shell

use std::{error::Error, process::ExitCode};

use crate::arguments::RunArguments;

/// Runs the command until SIGTERM, or until the processor gives up.
///
/// # Errors
/// When the processor cannot start or ends with a fault.
pub fn command(arguments: &RunArguments) -> Result<ExitCode, Box<dyn Error>> {
    // CALL SITE: the one place where this command enters `penstock_processor::run::run`.
    Err(format!("{}: running is not built in yet", arguments.file.display()).into())
}
