//! A child process that cannot outlive its owner: killed on drop, and by the kernel if we die first.
//! Layer: shell

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    interrupt::Interrupted,
    wait::{self, Waited},
};

/// Why a child could not be started or spoken to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("start {program}")]
    Spawn { program: String, source: io::Error },
    #[error("signal or wait for {program}")]
    Control { program: String, source: io::Error },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// `USER_HZ` is 100 wherever Linux runs.
const MILLIS_A_TICK: u64 = 10;

/// A running child; its output goes to a file.
pub(crate) struct Guarded {
    program: String,
    child: Child,
    log: PathBuf,
}

/// A command under `setpriv --pdeathsig KILL`, which replaces itself by the program and so keeps
/// the process id. The signal comes when the *thread* that spawned it ends: spawn from the main one.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Guarded {
    /// Starts a command made by [`command`], appending its output to `log`.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self, ChildError> {
        let program = name.to_owned();
        let mut start = || {
            let output = File::options().create(true).append(true).open(log)?;
            command
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
        };
        match start() {
            Ok(child) => Ok(Self {
                program,
                child,
                log: log.to_owned(),
            }),
            Err(source) => Err(ChildError::Spawn { program, source }),
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ChildError> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|e| self.fault(e.into()))
    }

    /// The status, once it has ended.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>, ChildError> {
        self.child.try_wait().map_err(|source| ChildError::Control {
            program: self.program.clone(),
            source,
        })
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Waited<ExitStatus>, ChildError> {
        wait::until(limit, Duration::from_millis(20), || self.exited())
    }

    /// Processor time that it has used so far, all threads.
    pub(crate) fn cpu(&self) -> Result<Duration, ChildError> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let text = text.map_err(|error| self.fault(error))?;
        // After the name, which may hold anything, come the state and ten numbers before `utime`.
        let fields = text.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * MILLIS_A_TICK))
    }

    /// Memory that it has in pages of its own and of files, KiB.
    pub(crate) fn resident(&self) -> Result<u64, ChildError> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.map_err(|error| self.fault(error))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(number.unwrap_or(0))
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<(), ChildError> {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        ended.map(drop).map_err(|e| self.fault(e))
    }

    /// The last lines it wrote, for a person who looks into a failure.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn fault(&self, source: io::Error) -> ChildError {
        ChildError::Control {
            program: self.program.clone(),
            source,
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
