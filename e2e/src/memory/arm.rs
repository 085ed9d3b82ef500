//! Starts what a trial is about in a cgroup of exactly the limit: the processor, or a control arm.
//! Layer: shell

use std::{
    ffi::OsString, fs, io, net::SocketAddr, os::unix::process::ExitStatusExt as _, path::Path,
    process::ExitStatus, sync::Arc, time::Duration,
};

use clap::ValueEnum;
use penstock_cgroup::Cgroup;
use rustix::process::Signal;

use crate::{
    child::{self, ChildError, Guarded},
    fleet::{self, Program},
    wait::Waited,
};

/// Which program a trial runs, and under which law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arm {
    /// The processor as it is shipped.
    Planned,
    /// The same processor, which cannot see its cgroup and plans for [`BLIND`] times its limit:
    /// what is reserved is more than there is, and the governor has nothing to look at.
    Blind,
    /// The same source code with the C library's allocator.
    Glibc,
    /// A consumer with the client's stock settings and four workers.
    Stock,
}

/// How many times its limit the blind arm plans for.
pub(crate) const BLIND: u64 = 8;

/// Enters the cgroup, then becomes the program: no page of it is charged elsewhere.
const ENTER: &str = r#"echo $$ > "$1" && shift && exec "$@""#;
/// In a mount namespace without any cgroup file system.
const HIDE: &str = r#"umount -R -l /sys/fs/cgroup && exec "$@""#;

impl Arm {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Blind => "blind",
            Self::Glibc => "glibc",
            Self::Stock => "stock",
        }
    }

    /// The limit that the object names, for a cgroup of `limit` bytes.
    pub(crate) fn declared(self, limit: u64) -> u64 {
        match self {
            Self::Blind => limit * BLIND,
            Self::Planned | Self::Glibc | Self::Stock => limit,
        }
    }
}

/// The executables.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The processor.
    pub(crate) processor: Program,
    /// The processor with the C library's allocator, where it was built.
    pub(crate) glibc: Option<Program>,
    /// This program, for the stock consumer.
    pub(crate) own: OsString,
}

/// A process in its cgroup; killed when dropped.
pub(crate) struct Held {
    // Before the cgroup, which can only be removed when it is empty.
    process: Guarded,
    /// Where `/status` is served.
    pub(crate) address: SocketAddr,
    /// What holds it.
    pub(crate) cgroup: Arc<Cgroup>,
}

/// What to start.
pub(crate) struct Start<'a> {
    /// Which program.
    pub(crate) arm: Arm,
    /// Limit of its cgroup, bytes.
    pub(crate) limit: u64,
    /// Its pipeline.
    pub(crate) pipeline: &'a str,
    /// Where it works. A file `termination-log` there is where it leaves its breadcrumb.
    pub(crate) folder: &'a Path,
    /// Tells the cgroups of one run apart.
    pub(crate) ordinal: u32,
}

impl Held {
    /// Makes the cgroup and starts the program in it.
    pub(crate) fn start(programs: &Programs, start: &Start<'_>) -> Result<Self, StartError> {
        let (pid, ordinal) = (std::process::id(), start.ordinal);
        let name = format!("penstock-memory-{pid}-{ordinal}");
        let cgroup = Cgroup::create(&name, start.limit).map_err(StartError::Cgroup)?;
        let file = start.folder.join("pipeline.yaml");
        fs::write(&file, start.pipeline).map_err(StartError::Folder)?;
        let address = fleet::free_address().map_err(StartError::Folder)?;
        let mut command = child::command("sh");
        command
            .args(["-c", ENTER, "sh"])
            .arg(cgroup.processes_file());
        if start.arm == Arm::Blind {
            command.args(["unshare", "--mount", "sh", "-c", HIDE, "sh"]);
        }
        command.args(arguments(programs, start.arm)?);
        command.arg("-f").arg(&file);
        command.arg("--status-address").arg(address.to_string());
        let crumb = start.folder.join("termination-log");
        if crumb.exists() {
            command.arg("--termination-log").arg(crumb);
        }
        command.current_dir(start.folder);
        let log = start.folder.join("processor.log");
        let process = Guarded::spawn(start.arm.name(), &mut command, &log)?;
        Ok(Self {
            process,
            address,
            cgroup: Arc::new(cgroup),
        })
    }

    /// How it ended, once it has.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>, ChildError> {
        self.process.exited()
    }

    /// SIGTERM; a fault in words unless it exits 0 within `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) -> Result<Option<String>, ChildError> {
        self.process.signal(Signal::TERM)?;
        Ok(match self.process.wait(grace)? {
            Waited::Met(status) if status.success() => None,
            Waited::Met(status) => Some(format!("stopped with {status}:\n{}", self.tail())),
            Waited::TimedOut => Some(format!("ran on {} s after SIGTERM", grace.as_secs())),
        })
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), ChildError> {
        self.process.kill()
    }

    /// The last lines it wrote.
    pub(crate) fn tail(&self) -> String {
        self.process.tail()
    }
}

/// In words; 137 is what a container's runtime makes of a SIGKILL.
pub(crate) fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "killed (SIGKILL, exit 137)".to_owned(),
        _ => status.to_string(),
    }
}

fn arguments(programs: &Programs, arm: Arm) -> Result<Vec<OsString>, StartError> {
    let run = |program: &Program| {
        let mut words = vec![program.path.clone()];
        words.extend(program.leading.iter().cloned());
        words.push("run".into());
        words
    };
    match arm {
        Arm::Planned | Arm::Blind => Ok(run(&programs.processor)),
        Arm::Glibc => programs.glibc.as_ref().map(run).ok_or(StartError::Glibc),
        Arm::Stock => Ok(vec![programs.own.clone(), "stock-consumer".into()]),
    }
}

/// Why a trial could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("make a memory cgroup (root and a memory controller are needed)")]
    Cgroup(#[source] io::Error),
    #[error("prepare the trial's folder and port")]
    Folder(#[source] io::Error),
    #[error("the processor without jemalloc was not built")]
    Glibc,
    #[error(transparent)]
    Child(#[from] ChildError),
}
