//! A processor as a child: started with a settings file, asked over HTTP, signalled, waited for.
//! Layer: test

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use penstock_processor::status::Status;

/// How long anything may take before it counts as failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running processor; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

/// The processor of this package.
pub(crate) fn ours() -> PathBuf {
    env!("CARGO_BIN_EXE_penstock-processor").into()
}

impl Process {
    /// Starts a program with a settings file; what it writes goes to a log beside that.
    pub(crate) fn start(program: &Path, folder: &Path, settings: &str) -> Self {
        Self::start_as(program, folder, settings, &[])
    }

    /// The same with arguments before all others.
    pub(crate) fn start_as(
        program: &Path,
        folder: &Path,
        settings: &str,
        arguments: &[&str],
    ) -> Self {
        let file = folder.join("settings.json");
        fs::write(&file, settings).expect("a folder of ours");
        let log = folder.join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.expect("a folder of ours");
        let address = free_address();
        let child = Command::new(program)
            .args(arguments)
            .arg("--settings")
            .arg(&file)
            .arg("--status-address")
            .arg(address.to_string())
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn();
        Self {
            child: child.expect("the program can be started"),
            address,
            log,
        }
    }

    /// Waits for a state of its own account.
    pub(crate) fn until(&mut self, what: &str, reached: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            match status {
                Some(status) if reached(&status) => return status,
                status => assert!(
                    Instant::now() < deadline && self.ended().is_none(),
                    "waiting for {what}: {status:#?}\n{}",
                    self.log()
                ),
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Its account; `None` when it does not answer.
    pub(crate) fn status(&self) -> Option<Status> {
        let (code, body) = get(self.address, "/status").ok()?;
        assert_eq!(code, 200);
        Some(serde_json::from_str(&body).expect("an account"))
    }

    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill can be started").success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// How it ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// SIGTERM and a clean end.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// What all processors of the folder wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("it was created at the start")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended, and then nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `GET` in HTTP/1.0: the answer comes in one piece and ends with the connection.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::InvalidData)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}
