//! One real Apache Kafka broker on loopback, or a running one that was given.
//! Layer: shell

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    child::{self, ChildError, Guarded},
    interrupt::Interrupted,
    wait::{self, Waited},
};

mod certificates;
mod install;

pub(crate) use certificates::Certificates;

const SETTINGS: &str = include_str!("../kafka/server.properties");
const LOGGING: &str = include_str!("../kafka/log4j2.properties");
const HEAP: [&str; 3] = ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC"];
/// The one user of the listener that asks.
pub(crate) const USER: &str = "penstock";
/// Their password.
pub(crate) const PASSWORD: &str = "a-password-for-tests";
const START: Duration = Duration::from_secs(90);

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error("maven must resolve Apache Kafka once (JDK 17 and mvn are needed): {what}")]
    Install { what: String },
    #[error("prepare the broker: {what}")]
    Prepare {
        what: &'static str,
        source: io::Error,
    },
    #[error("format the broker's folder: {output}")]
    Format { output: String },
    #[error("broker did not answer within {} s:\n{log}", START.as_secs())]
    Start { log: String },
    #[error("a broker that was given cannot be stopped")]
    Foreign,
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A broker for the scenarios.
pub(crate) struct Broker {
    bootstrap: String,
    authenticated: String,
    encrypted: String,
    own: Option<Own>,
}

/// What ends with us; the process before its folder.
struct Own {
    process: Guarded,
    certificates: Certificates,
    _folder: TempDir,
}

impl Broker {
    /// A broker that runs already.
    pub(crate) fn given(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            authenticated: String::new(),
            encrypted: String::new(),
            own: None,
        }
    }

    /// Installs if needed, formats a fresh folder, starts and waits until the port answers.
    pub(crate) fn start() -> Result<Self, BrokerError> {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same on another address of this host.
    pub(crate) fn start_at(address: Ipv4Addr) -> Result<Self, BrokerError> {
        let libraries = install::libraries()?;
        let folder = TempDir::with_prefix("penstock-e2e-kafka-").map_err(prepare("temp folder"))?;
        let ports = free_ports(address).map_err(prepare("free ports"))?;
        let certificates = Certificates::make(folder.path().join("certificates"), address)
            .map_err(prepare("certificates (openssl is needed)"))?;
        write_settings(folder.path(), address, ports).map_err(prepare("settings"))?;
        format(&libraries, folder.path())?;
        let mut run = child::command("java");
        run.args(HEAP)
            .args(["-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true"]);
        run.arg(logging(folder.path()))
            .arg("-cp")
            .arg(libraries.join("*"));
        run.arg("kafka.Kafka")
            .arg(folder.path().join("server.properties"));
        let log = folder.path().join("broker.log");
        let process = Guarded::spawn("kafka", run.current_dir(folder.path()), &log)?;
        let mut own = Own {
            process,
            certificates,
            _folder: folder,
        };
        own.await_port(address, ports.clients)?;
        Ok(Self {
            bootstrap: format!("{address}:{}", ports.clients),
            authenticated: format!("{address}:{}", ports.authenticated),
            encrypted: format!("{address}:{}", ports.encrypted),
            own: Some(own),
        })
    }

    /// `host:port` for clients.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `host:port` where clients must say who they are: [`USER`] with [`PASSWORD`], SCRAM-SHA-512.
    pub(crate) fn authenticated(&self) -> &str {
        &self.authenticated
    }

    /// `host:port` of TLS where clients show a certificate from [`Broker::certificates`].
    pub(crate) fn encrypted(&self) -> &str {
        &self.encrypted
    }

    /// What its TLS listener shows and trusts.
    pub(crate) fn certificates(&self) -> Result<&Certificates, BrokerError> {
        Ok(&self.own()?.certificates)
    }

    /// Stops the broker's process as a whole, as a host under pressure does, without ending it.
    pub(crate) fn suspend(&self) -> Result<(), BrokerError> {
        Ok(self.own()?.process.signal(Signal::STOP)?)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), BrokerError> {
        Ok(self.own()?.process.signal(Signal::CONT)?)
    }

    /// Whether the broker was started here and so can be stopped.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    fn own(&self) -> Result<&Own, BrokerError> {
        self.own.as_ref().ok_or(BrokerError::Foreign)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            // The folder is deleted next, so a clean stop would only cost time.
            let _ = own.process.kill();
        }
    }
}

impl Own {
    fn await_port(&mut self, address: Ipv4Addr, port: u16) -> Result<(), BrokerError> {
        let pause = Duration::from_millis(100);
        let answered = wait::until(START, pause, || -> Result<_, BrokerError> {
            if self.process.exited()?.is_some() {
                return Ok(Some(false));
            }
            Ok(TcpStream::connect((address, port)).is_ok().then_some(true))
        })?;
        match answered {
            Waited::Met(true) => Ok(()),
            Waited::Met(false) | Waited::TimedOut => Err(BrokerError::Start {
                log: self.process.tail(),
            }),
        }
    }
}

fn prepare(what: &'static str) -> impl FnOnce(io::Error) -> BrokerError {
    move |source| BrokerError::Prepare { what, source }
}

/// Ports that were free a moment ago; held together so that they differ.
#[derive(Clone, Copy)]
struct Ports {
    clients: u16,
    authenticated: u16,
    encrypted: u16,
    controller: u16,
}

fn free_ports(address: Ipv4Addr) -> io::Result<Ports> {
    let clients = TcpListener::bind((address, 0))?;
    let authenticated = TcpListener::bind((address, 0))?;
    let encrypted = TcpListener::bind((address, 0))?;
    let controller = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(Ports {
        clients: clients.local_addr()?.port(),
        authenticated: authenticated.local_addr()?.port(),
        encrypted: encrypted.local_addr()?.port(),
        controller: controller.local_addr()?.port(),
    })
}

fn write_settings(folder: &Path, address: Ipv4Addr, ports: Ports) -> io::Result<()> {
    let data = folder.join("data");
    let text = SETTINGS
        .replace("${ADDRESS}", &address.to_string())
        .replace("${PORT}", &ports.clients.to_string())
        .replace("${AUTHENTICATED_PORT}", &ports.authenticated.to_string())
        .replace("${ENCRYPTED_PORT}", &ports.encrypted.to_string())
        .replace(
            "${CERTIFICATES}",
            &folder.join("certificates").display().to_string(),
        )
        .replace("${CONTROLLER_PORT}", &ports.controller.to_string())
        .replace("${DATA}", &data.display().to_string());
    fs::write(folder.join("server.properties"), text)?;
    fs::write(folder.join("log4j2.properties"), LOGGING)
}

fn logging(folder: &Path) -> String {
    format!(
        "-Dlog4j2.configurationFile={}",
        folder.join("log4j2.properties").display()
    )
}

fn format(libraries: &Path, folder: &Path) -> Result<(), BrokerError> {
    let settings: PathBuf = folder.join("server.properties");
    let output = Command::new("java")
        .args(["-Xmx128m", "-cp"])
        .arg(libraries.join("*"))
        .arg(logging(folder))
        .args([
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "MkU3OEVBNTcwNTJENDM2Qg",
            "-c",
        ])
        .arg(settings)
        .arg("--add-scram")
        .arg(format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]"))
        .stdin(Stdio::null())
        .output()
        .map_err(prepare("storage tool"))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(BrokerError::Format { output })
}
