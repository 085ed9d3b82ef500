//! The processor in a process of its own: started, killed, restarted, stopped.
//! Layer: shell

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::shared::TICK;

/// How a processor is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program; this one.
    pub program: PathBuf,
    /// The pipeline object.
    pub pipeline: PathBuf,
    /// Where it answers `/status`.
    pub status_address: SocketAddr,
    /// `cgroup.procs` of the cgroup that holds it, where there is one.
    pub cgroup: Option<PathBuf>,
    /// Takes what it logs.
    pub log: PathBuf,
}

/// A running processor. Dropping it kills it.
#[derive(Debug)]
pub struct Processor {
    child: Child,
}

/// The watcher reads a pipe that nobody writes to: it ends with the process that holds the other
/// end. It starts before the cgroup is entered, so it does not count there.
const BECOME_PROCESSOR: &str = r#"
exec 3<&0 </dev/null
(cat <&3 >/dev/null; kill -KILL $$) >/dev/null 2>&1 &
exec 3<&-
echo $$ > "$0" && exec "$@"
"#;

impl Processor {
    /// Starts a processor. A shell enters its cgroup and then becomes the processor, so no page is
    /// counted elsewhere; before that it leaves a watcher behind that ends the processor when this
    /// process is gone, however it went.
    ///
    /// # Errors
    /// When the log cannot be opened or the shell cannot be started.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&launch.log)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", BECOME_PROCESSOR]);
        // without a cgroup the id is written nowhere
        command.arg(launch.cgroup.as_deref().unwrap_or(Path::new("/dev/null")));
        command
            .arg(&launch.program)
            .arg("run")
            .arg("-f")
            .arg(&launch.pipeline);
        command
            .arg("--status-address")
            .arg(launch.status_address.to_string());
        let log_too = log.try_clone()?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(log_too)
            .spawn()?;
        Ok(Self { child })
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Resident memory in bytes, where no cgroup counts; 0 once it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When the process cannot be signalled or waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, and waits for the end; after `patience` SIGKILL.
    ///
    /// # Errors
    /// When the process cannot be signalled or waited for.
    pub fn stop(&mut self, patience: Duration) -> io::Result<Stopped> {
        // the shell's own kill: no unsafe code for a signal
        let id = self.child.id().to_string();
        Command::new("/bin/sh")
            .args(["-c", r#"kill -TERM "$0""#, &id])
            .status()?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Stopped::of(status));
            }
            thread::sleep(TICK);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(Stopped::Late)
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        // both fail when it has ended, and then nothing is left to do
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a processor followed SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ended by itself, without fault; or before it could listen to signals.
    Cleanly,
    /// It ended with a fault.
    WithFault(ExitStatus),
    /// It did not end in time and was killed.
    Late,
}

impl Stopped {
    fn of(status: ExitStatus) -> Self {
        /// Default action of the signal, in the moment before a handler exists.
        const SIGTERM: i32 = 15;
        if status.success() || status.signal() == Some(SIGTERM) {
            Self::Cleanly
        } else {
            Self::WithFault(status)
        }
    }
}

/// CPU milliseconds of all children that have ended and were waited for.
///
/// # Errors
/// When `/proc/self/stat` cannot be read.
pub fn cpu_ms_of_ended_children() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    children_cpu_ms(&stat).ok_or_else(|| io::Error::other("/proc/self/stat is of another form"))
}

/// Fields 16 and 17, `cutime` and `cstime`, in ticks of 10 ms (`USER_HZ` is 100 on Linux). The
/// second field, the program's name in brackets, may hold blanks.
fn children_cpu_ms(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(16 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10)
}

/// The last lines of the processor's log, for a failure.
#[must_use]
pub fn last_lines(log: &Path) -> String {
    const LINES: usize = 15;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_of_children_is_read_behind_a_name_with_blanks() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 100 50 30 12 20 0 1 0 5";
        assert_eq!(children_cpu_ms(stat), Some(420));
    }

    fn launch(folder: &Path, script: &str) -> Launch {
        let program = folder.join("processor");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, executable).unwrap();
        Launch {
            program,
            pipeline: folder.join("pipeline.yaml"),
            status_address: "127.0.0.1:1".parse().unwrap(),
            cgroup: None,
            log: folder.join("log"),
        }
    }

    #[test]
    fn arguments_reach_the_processor_and_its_words_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(folder.path(), "echo \"$@\"; exit 3");
        let mut processor = Processor::start(&launch).unwrap();
        // Waiting closes it, which is what the end of this process would look like.
        let _held = processor.child.stdin.take();
        let status = processor.child.wait().unwrap();
        assert_eq!(status.code(), Some(3));
        let log = last_lines(&launch.log);
        assert!(log.starts_with("run -f /"), "{log}");
        assert!(
            log.ends_with("pipeline.yaml --status-address 127.0.0.1:1"),
            "{log}"
        );
    }

    #[test]
    fn a_processor_does_not_outlive_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let mut processor = Processor::start(&launch(folder.path(), "exec sleep 1000")).unwrap();
        // what the end of this process would do
        drop(processor.child.stdin.take());
        assert_eq!(processor.child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_processor_that_ignores_sigterm_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo ready; read -r _ < \"$0.fifo\"";
        let launch = launch(folder.path(), script);
        let fifo = folder.path().join("processor.fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let mut processor = Processor::start(&launch).unwrap();
        while !last_lines(&launch.log).contains("ready") {
            thread::yield_now();
        }
        assert_eq!(processor.stop(Duration::ZERO).unwrap(), Stopped::Late);
    }
}
