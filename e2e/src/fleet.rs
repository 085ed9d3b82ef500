//! Processors as child processes, each with a pipeline file, a log and a status address of its own.
//! Layer: shell

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    child::{self, ChildError, Guarded},
    interrupt::Interrupted,
    status::{self, Status},
    wait::{self, Waited},
};

/// How long a start or an answer may take.
const START: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(2);

/// Why a processor is not running as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("free port for the status address")]
    Port(#[source] io::Error),
    #[error("processor {incarnation} ended by itself with {status}:\n{log}")]
    Ended {
        incarnation: u64,
        status: ExitStatus,
        log: String,
    },
    #[error("processor {incarnation} reported no plan and assignment within {} s:\n{log}", START.as_secs())]
    Silent { incarnation: u64, log: String },
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A processor's executable; `run -f FILE --status-address ADDRESS` follows its own arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: OsString,
    /// Arguments before `run`.
    pub(crate) leading: Vec<OsString>,
}

/// How processors are started.
pub(crate) struct Launcher {
    /// What is started.
    pub(crate) program: Program,
    /// Where pipeline files, logs and sink files go.
    pub(crate) folder: PathBuf,
}

impl Launcher {
    /// Writes the pipeline and starts a processor on it.
    pub(crate) fn start(&self, pipeline: &str, incarnation: u64) -> Result<Processor, FleetError> {
        let file = self.folder.join(format!("pipeline-{incarnation}.yaml"));
        fs::write(&file, pipeline).map_err(|source| FleetError::Write {
            path: file.clone(),
            source,
        })?;
        let address = free_address().map_err(FleetError::Port)?;
        let mut command = child::command(&self.program.path);
        command
            .args(&self.program.leading)
            .args(["run", "-f"])
            .arg(&file);
        command
            .arg("--status-address")
            .arg(address.to_string())
            .current_dir(&self.folder);
        if self.secrets().is_dir() {
            command.arg("--secrets").arg(self.secrets());
        }
        let log = self.log(incarnation);
        let process = Guarded::spawn("processor", &mut command, &log)?;
        Ok(Processor {
            process,
            address,
            incarnation,
        })
    }

    /// What the processor of this start logs.
    pub(crate) fn log(&self, incarnation: u64) -> PathBuf {
        self.folder.join(format!("processor-{incarnation}.log"))
    }

    /// Replaces a Secret as Kubernetes does: a folder with a file for each key, in one step.
    pub(crate) fn put_secret(&self, name: &str, values: &[(&str, &str)]) -> Result<(), FleetError> {
        let folder = self.secrets().join(name);
        let write = |(key, value): &(&str, &str)| {
            let fresh = folder.join(format!(".{key}"));
            fs::write(&fresh, value)?;
            fs::rename(fresh, folder.join(key))
        };
        let written = fs::create_dir_all(&folder).and_then(|()| values.iter().try_for_each(write));
        written.map_err(|source| FleetError::Write {
            path: folder.clone(),
            source,
        })
    }

    fn secrets(&self) -> PathBuf {
        self.folder.join("secrets")
    }
}

/// A running processor; killed when dropped.
pub(crate) struct Processor {
    process: Guarded,
    address: SocketAddr,
    incarnation: u64,
}

impl Processor {
    /// Which start this is; it stands in `source.generation` and so in every record it produces.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What `/status` says, if it answers.
    pub(crate) fn status(&self) -> Option<Status> {
        status::parse(&get(self.address, "/status").ok()?)
    }

    /// Waits until it has a plan and at least one partition.
    pub(crate) fn await_assigned(&mut self) -> Result<Status, FleetError> {
        let pause = Duration::from_millis(50);
        let assigned = wait::until(START, pause, || -> Result<_, FleetError> {
            self.check_alive()?;
            Ok(self.status().filter(|status| status.partitions > 0))
        })?;
        match assigned {
            Waited::Met(status) => Ok(status),
            Waited::TimedOut => Err(FleetError::Silent {
                incarnation: self.incarnation,
                log: self.process.tail(),
            }),
        }
    }

    /// Waits until it says what clients or brokers complain about.
    pub(crate) fn await_trouble(&mut self) -> Result<String, FleetError> {
        let pause = Duration::from_millis(50);
        let told = wait::until(START, pause, || -> Result<_, FleetError> {
            self.check_alive()?;
            Ok(self.status().and_then(|status| status.trouble))
        })?;
        match told {
            Waited::Met(trouble) => Ok(trouble),
            Waited::TimedOut => Err(FleetError::Silent {
                incarnation: self.incarnation,
                log: self.process.tail(),
            }),
        }
    }

    /// Errs when it has ended although nobody asked it to.
    pub(crate) fn check_alive(&mut self) -> Result<(), FleetError> {
        let Some(status) = self.process.exited()? else {
            return Ok(());
        };
        let (incarnation, log) = (self.incarnation, self.process.tail());
        Err(FleetError::Ended {
            incarnation,
            status,
            log,
        })
    }

    /// Processor time that it has used so far.
    pub(crate) fn cpu(&self) -> Result<Duration, FleetError> {
        Ok(self.process.cpu()?)
    }

    /// Its resident memory, KiB.
    pub(crate) fn resident(&self) -> Result<u64, FleetError> {
        Ok(self.process.resident()?)
    }

    /// Stops it as a whole without ending it: it does not notice.
    pub(crate) fn suspend(&self) -> Result<(), FleetError> {
        Ok(self.process.signal(Signal::STOP)?)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), FleetError> {
        Ok(self.process.signal(Signal::CONT)?)
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<(), FleetError> {
        Ok(self.process.kill()?)
    }

    /// SIGTERM, then at most `grace`; a fault in words if it did not exit 0 in time.
    pub(crate) fn stop(mut self, grace: Duration) -> Result<Option<String>, FleetError> {
        self.check_alive()?;
        self.process.signal(Signal::TERM)?;
        let incarnation = self.incarnation;
        Ok(match self.process.wait(grace)? {
            Waited::Met(status) if status.success() => None,
            Waited::Met(status) => Some(format!("processor {incarnation} stopped with {status}")),
            Waited::TimedOut => Some(format!(
                "processor {incarnation} ran on {} s after SIGTERM",
                grace.as_secs()
            )),
        })
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The body of an HTTP/1.0 answer, which ends with its connection.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n");
    Ok(body.map(|at| answer.split_off(at + 4)).unwrap_or_default())
}

/// Empties and recreates a folder for one scenario.
pub(crate) fn fresh_folder(path: &Path) -> Result<(), FleetError> {
    let fault = |source| FleetError::Write {
        path: path.to_owned(),
        source,
    };
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    fs::create_dir_all(path).map_err(fault)
}
