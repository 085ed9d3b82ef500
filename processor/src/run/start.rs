//! The entry of processor binaries, ours and those of users: arguments, settings, exit code.
//! Layer: shell

use std::{error::Error, fs, io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use penstock_crds::settings::ValidatedSettings;
use tracing_subscriber::EnvFilter;

use super::{Options, RunError, last_words, run};
use crate::{plan::Facts, scout, settings_file::SettingsFile, stages::custom::Registry};

/// Exit code for a refused settings file, stage or limit: restarting does not help.
const REFUSED: u8 = 2;

/// Exit code of a scout that found source or sink unusable.
const UNUSABLE: u8 = 3;

/// Command line of a processor.
#[derive(Debug, Parser)]
#[command(version, about = "Processes the records of one pipeline")]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where everything is.
#[derive(Debug, Args)]
struct Place {
    /// The settings file that the operator writes; its `state` is read again every second.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/penstock/settings/settings.json"
    )]
    settings: PathBuf,
    /// Where the Secrets are mounted, each in a folder of its name.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/etc/penstock/secrets"
    )]
    secrets: PathBuf,
    /// Where /livez, /readyz, /metrics and /status are served.
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    status_address: SocketAddr,
    /// Takes the last words of a process that fails and the scout's report, where the file exists.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/dev/termination-log"
    )]
    termination_log: PathBuf,
}

/// What a processor can do instead of processing.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Tries source and sinks and reports facts and faults; processes nothing, joins no group.
    Scout {
        /// Prints a report and ends: with 0 when everything can be used, with 3 when not. Without
        /// it, the lag is served until a signal comes.
        #[arg(long)]
        once: bool,
    },
}

/// Runs a processor with stages of its own until it is told to stop, or scouts.
///
/// Exit codes: 0 after a clean stop, 2 for settings, stages or a limit that are refused, 3 for a
/// source or a sink that a scout found unusable, 1 for the rest.
#[must_use]
pub fn main_with(registry: Registry) -> ExitCode {
    log_to_stderr();
    let Arguments { place, command } = Arguments::parse();
    let settings = match place.read() {
        Ok(settings) => settings,
        Err(error) => return place.report(error.as_ref(), REFUSED),
    };
    match command {
        None => process(&place, settings, registry),
        Some(Command::Scout { once: true }) => scout_once(&place, &settings.1),
        Some(Command::Scout { once: false }) => {
            let pipeline = settings.1.pipeline;
            match scout::keep_watch(pipeline, &place.secrets, place.status_address) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => place.report(&error, 1),
            }
        }
    }
}

fn process(
    place: &Place,
    (text, settings): (String, ValidatedSettings),
    registry: Registry,
) -> ExitCode {
    let observed = settings.observed;
    let facts = Facts {
        partitions: observed.partitions,
        brokers: observed.brokers,
        cores: None,
    };
    let parse = |text: &str| match penstock_crds::parse_settings(text) {
        Ok(settings) => Ok(settings.pipeline),
        Err(faults) => Err(faults.to_string()),
    };
    let options = Options {
        pipeline: settings.pipeline,
        facts,
        secrets: place.secrets.clone(),
        settings: Some(SettingsFile::new(&place.settings, text, Box::new(parse))),
        status_address: place.status_address,
        registry,
        termination_log: Some(place.termination_log.clone()),
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (RunError::Refused { .. } | RunError::Stages(_))) => {
            place.report(&error, REFUSED)
        }
        Err(error) => place.report(&error, 1),
    }
}

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
fn scout_once(place: &Place, settings: &ValidatedSettings) -> ExitCode {
    let report = scout::look(&settings.pipeline, &place.secrets);
    let text = report.to_text();
    println!("{text}");
    place.leave(&text);
    match report.is_usable() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(UNUSABLE),
    }
}

impl Place {
    fn read(&self) -> Result<(String, ValidatedSettings), Box<dyn Error>> {
        let path = self.settings.display();
        let text = fs::read_to_string(&self.settings).map_err(|e| format!("{path}: {e}"))?;
        let settings = penstock_crds::parse_settings(&text).map_err(|e| format!("{path}:\n{e}"))?;
        Ok((text, settings))
    }

    fn report(&self, error: &dyn Error, code: u8) -> ExitCode {
        let line = last_words::line(error);
        tracing::error!("{line}");
        self.leave(&line);
        ExitCode::from(code)
    }

    fn leave(&self, text: &str) {
        if let Err(error) = last_words::write(&self.termination_log, text) {
            tracing::warn!(%error, "cannot write the termination log");
        }
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
