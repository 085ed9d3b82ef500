//! `penstock run`: a pipeline in this process.
//! Layer: shell

use std::{error::Error, process::ExitCode};

use penstock_crds::{pipeline::ValidatedPipeline, quantity::Quantity};
use penstock_processor::{
    plan::Facts,
    run::{Options, RunError, log_to_stderr, run},
    settings_file::SettingsFile,
    stages::custom::Registry,
};

use crate::{arguments::RunArguments, object};

/// Exit code for a pipeline or a limit that is refused: starting again does not help.
const REFUSED: u8 = 2;

/// Runs the command until SIGTERM, or until the processor gives up.
///
/// # Errors
/// When the processor cannot start or ends with a fault.
pub fn command(arguments: &RunArguments) -> Result<ExitCode, Box<dyn Error>> {
    log_to_stderr();
    let path = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file).map_err(|e| format!("{path}: {e}"))?;
    let pipeline = match read(&text, arguments) {
        Ok(pipeline) => pipeline,
        Err(faults) => {
            tracing::error!("{path} is refused:\n{faults}");
            return Ok(ExitCode::from(REFUSED));
        }
    };
    let again = arguments.clone();
    let parse = move |text: &str| read(text, &again);
    let options = Options {
        pipeline,
        facts: Facts::default(),
        secrets: arguments.secrets.clone(),
        settings: Some(SettingsFile::new(&arguments.file, text, Box::new(parse))),
        status_address: arguments.status_address,
        registry: Registry::default(),
        termination_log: arguments.termination_log.clone(),
    };
    match run(options) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error @ RunError::Refused { .. }) => {
            tracing::error!("{error}");
            Ok(ExitCode::from(REFUSED))
        }
        Err(error) => Err(error.into()),
    }
}

/// The pipeline of a text; what the command line says goes before the object.
fn read(text: &str, arguments: &RunArguments) -> Result<ValidatedPipeline, String> {
    let mut pipeline = object::pipeline(text, arguments.bootstrap_servers.as_deref())?;
    if let Some(limit) = arguments.memory {
        pipeline.resources.memory_limit = Quantity::from_bytes(limit.0);
    }
    Ok(pipeline)
}
