//! The operator's binary: arguments, logs, exit code.
//! Layer: shell

use std::{error::Error, io::IsTerminal, process::ExitCode};

use clap::Parser;
use penstock_operator::{arguments::Arguments, run::run};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Reconciles wait; two threads are plenty for what they compute.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime
            .block_on(run(Arguments::parse()))
            .map_err(Into::into),
        Err(error) => Err(Box::<dyn Error>::from(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "ended");
            ExitCode::FAILURE
        }
    }
}
