//! The entry of processor binaries, ours and those of users: arguments, settings, exit code.
//! Layer: shell

use std::{error::Error, fs, io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use super::{Options, RunError, run};
use crate::{plan::Facts, stages::custom::Registry};

/// Exit code for a refused settings file, stage or limit: restarting does not help.
const REFUSED: u8 = 2;

/// Command line of a processor.
#[derive(Debug, Parser)]
#[command(version, about = "Processes the records of one pipeline")]
struct Arguments {
    /// The settings file that the operator writes.
    #[arg(long)]
    settings: PathBuf,
    /// Where the Secrets are mounted, each in a folder of its name.
    #[arg(long, value_name = "DIR", default_value = "/etc/penstock/secrets")]
    secrets: PathBuf,
    /// Where /livez, /readyz, /metrics and /status are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    status_address: SocketAddr,
    /// Where a pod that is killed leaves what it was reading; skipped when the file is not there.
    #[arg(long, default_value = "/dev/termination-log")]
    termination_log: PathBuf,
}

/// Runs a processor with stages of its own until it is told to stop.
///
/// Exit codes: 0 after a clean stop, 2 for settings, stages or a limit that are refused, 1 for the
/// rest.
#[must_use]
pub fn main_with(registry: Registry) -> ExitCode {
    log_to_stderr();
    let arguments = Arguments::parse();
    let options = match options(&arguments, registry) {
        Ok(options) => options,
        Err(error) => return report(error.as_ref(), REFUSED),
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (RunError::Refused { .. } | RunError::Stages(_))) => report(&error, REFUSED),
        Err(error) => report(&error, 1),
    }
}

/// Sends logs to standard error; `RUST_LOG` chooses, `info` is the default.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second subscriber is refused, which leaves the first in place.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

fn options(arguments: &Arguments, registry: Registry) -> Result<Options, Box<dyn Error>> {
    let path = arguments.settings.display();
    let text = fs::read_to_string(&arguments.settings).map_err(|e| format!("{path}: {e}"))?;
    let settings = penstock_crds::parse_settings(&text).map_err(|e| format!("{path}:\n{e}"))?;
    let observed = settings.observed;
    let facts = Facts {
        partitions: observed.partitions,
        brokers: observed.brokers,
        cores: None,
    };
    let status_address = arguments.status_address;
    Ok(Options {
        pipeline: settings.pipeline,
        facts,
        secrets: arguments.secrets.clone(),
        status_address,
        registry,
        termination_log: Some(arguments.termination_log.clone()),
    })
}

fn report(error: &dyn Error, code: u8) -> ExitCode {
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    tracing::error!("{}", causes.join(": "));
    ExitCode::from(code)
}
