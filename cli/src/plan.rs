//! `penstock plan`: the memory plan of a pipeline, or why there is none.
//! Layer: shell

use std::{error::Error, process::ExitCode};

use crate::arguments::PlanArguments;

/// Runs the command: 0 with a plan, 2 with a refusal or faults of the file.
///
/// # Errors
/// When the file cannot be read or the answer not be written.
pub fn command(arguments: &PlanArguments) -> Result<ExitCode, Box<dyn Error>> {
    Err(format!("{}: planning is not built in yet", arguments.file.display()).into())
}
