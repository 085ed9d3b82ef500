//! The real stores on loopback, from the package registries: one process each, ended with us.
//! Layer: shell

mod install;
pub(crate) mod search;

use std::{
    fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::ValueEnum;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    child::{self, ChildError, Guarded},
    http::{self, Question},
    interrupt::{self, Interrupted},
    wait::{self, Waited},
};

const START: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(20);

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("install a store (a JDK, mvn and python3 with pip are needed): {what}")]
    Install { what: String },
    #[error("prepare a store")]
    Prepare(#[from] io::Error),
    #[error("{store:?} ended or did not answer within {} s:\n{log}", START.as_secs())]
    Start { store: Store, log: String },
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// Elasticsearch, the real one without its extras.
    Elasticsearch,
    /// OpenSearch.
    Opensearch,
    /// A server of MongoDB's protocol.
    Mongodb,
    /// Redis.
    Redis,
}

/// What `cargo e2e services` is told.
#[derive(clap::Args)]
pub(crate) struct ServicesArguments {
    /// Only these; all by default.
    #[arg(value_name = "STORE")]
    stores: Vec<Store>,
}

/// Brings stores up for tests that are run by hand.
pub(crate) fn run(arguments: &ServicesArguments) -> Result<ExitCode, ServiceError> {
    interrupt::listen();
    let stores = match arguments.stores.as_slice() {
        [] => &Store::ALL,
        chosen => chosen,
    };
    let services = start_all(Ipv4Addr::LOCALHOST, stores)?;
    let mut text = io::stdout();
    for service in &services {
        writeln!(
            text,
            "export {}={}",
            service.store.variable(),
            service.address()
        )?;
    }
    text.flush()?;
    while wait::pass(Duration::from_secs(3600)).is_ok() {}
    Ok(ExitCode::SUCCESS)
}

/// Starts them at once on an address of this host and waits until each answers.
pub(crate) fn start_all(host: Ipv4Addr, stores: &[Store]) -> Result<Vec<Service>, ServiceError> {
    let started = stores.iter().map(|store| Service::start(*store, host));
    let started: Result<Vec<_>, _> = started.collect();
    let mut services = started?;
    for service in &mut services {
        service.await_ready()?;
    }
    Ok(services)
}

impl Store {
    /// Every store.
    pub(crate) const ALL: [Self; 4] = [
        Self::Elasticsearch,
        Self::Opensearch,
        Self::Mongodb,
        Self::Redis,
    ];

    /// The variable by which a test learns the address.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Elasticsearch => "PENSTOCK_TEST_ELASTICSEARCH",
            Self::Opensearch => "PENSTOCK_TEST_OPENSEARCH",
            Self::Mongodb => "PENSTOCK_TEST_MONGODB",
            Self::Redis => "PENSTOCK_TEST_REDIS",
        }
    }
}

/// A running store; the process goes before its folder.
pub(crate) struct Service {
    store: Store,
    place: SocketAddrV4,
    process: Guarded,
    _folder: TempDir,
}

impl Service {
    /// Installs if needed and starts; it answers a little later. Call it from the main thread,
    /// whose end is the end of the process.
    pub(crate) fn start(store: Store, host: Ipv4Addr) -> Result<Self, ServiceError> {
        let folder = TempDir::with_prefix("penstock-e2e-store-")?;
        let place = SocketAddrV4::new(host, free_port()?);
        let log = folder.path().join("output.log");
        let mut command = match store {
            Store::Elasticsearch | Store::Opensearch => {
                search::command(store, folder.path(), place)?
            }
            Store::Mongodb => mongodb(folder.path(), place)?,
            Store::Redis => redis(folder.path(), place),
        };
        let process = Guarded::spawn(store.variable(), &mut command, &log)?;
        Ok(Self {
            store,
            place,
            process,
            _folder: folder,
        })
    }

    /// Waits until it answers.
    pub(crate) fn await_ready(&mut self) -> Result<(), ServiceError> {
        let pause = Duration::from_millis(100);
        let ready = wait::until(START, pause, || -> Result<_, ServiceError> {
            if self.process.exited()?.is_some() {
                return Ok(Some(false));
            }
            Ok(self.answers().then_some(true))
        })?;
        match ready {
            Waited::Met(true) => Ok(()),
            Waited::Met(false) | Waited::TimedOut => Err(ServiceError::Start {
                store: self.store,
                log: self.process.tail(),
            }),
        }
    }

    fn answers(&self) -> bool {
        match self.store {
            Store::Elasticsearch | Store::Opensearch => {
                search::answers(&self.address()).unwrap_or(false)
            }
            Store::Mongodb | Store::Redis => TcpStream::connect(self.place).is_ok(),
        }
    }

    /// Which store it is.
    pub(crate) fn store(&self) -> Store {
        self.store
    }

    /// Stops it as a whole, as a host under pressure does, without ending it. Only of a store that
    /// is one process.
    pub(crate) fn suspend(&self) -> Result<(), ServiceError> {
        Ok(self.process.signal(Signal::STOP)?)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), ServiceError> {
        Ok(self.process.signal(Signal::CONT)?)
    }

    /// What a search cluster answers to a request such as `GET /_count`; its body is JSON.
    pub(crate) fn ask(&self, line: &str, body: &str) -> io::Result<serde_json::Value> {
        let answer = http::ask(&self.address(), Question::json(line, body))?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.place.to_string()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Elasticsearch's first process ends the one that works; the guard kills what is left.
        let asked = self.process.signal(Signal::TERM);
        if asked.is_ok() {
            let _ = self.process.wait(STOP);
        }
    }
}

fn mongodb(folder: &Path, place: SocketAddrV4) -> Result<std::process::Command, ServiceError> {
    let libraries = install::mongodb()?;
    install::mongodb_main(&libraries, folder)?;
    let class_path = format!("{}:{}", folder.display(), libraries.join("*").display());
    let mut command = child::command("java");
    command.args(["-Xmx512m", "-cp", &class_path, "Server"]);
    command.args([place.ip().to_string(), place.port().to_string()]);
    Ok(command)
}

/// Nothing is kept on disk: it lives as long as a test.
fn redis(folder: &Path, place: SocketAddrV4) -> std::process::Command {
    let mut command = child::command("redis-server");
    command.args(["--bind", &place.ip().to_string()]);
    command.args(["--port", &place.port().to_string()]);
    // Nothing but a run of this program reaches an address of its own network.
    command.args(["--protected-mode", "no"]);
    command.args(["--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder);
    command
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Copies a folder of files and folders.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
