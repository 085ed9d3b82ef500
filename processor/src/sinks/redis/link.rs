//! Connections that many operations share: what is asked at the same time goes out in one write.
//! Layer: shell
//!
//! Answers come in the order of the questions, so an answer that is late or garbled spoils the
//! connection for all behind it: it is dropped, and the next operation opens another one.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
};
use tokio::{sync::Mutex, time::timeout_at};

use super::{
    blame::{Complaint, Fault, blame},
    facts::ServerFacts,
    settings::RedisServer,
};

/// Operations that may wait for the writer of a connection; the guard in front bounds them anyway.
const WAITING: usize = 256;

/// Bytes of questions that are gathered before a write is forced.
const WRITE_BYTES: usize = 64 * 1024;

/// What is done with a server that may drop keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// Counters are kept there: it is refused.
    Refused,
    /// Only sets are: it is a weakness.
    Suffered,
}

/// The way to one server.
pub(super) struct Link {
    server: RedisServer,
    eviction: Eviction,
    slots: Box<[Slot]>,
    turn: AtomicUsize,
    opened: AtomicU64,
}

/// Place of one connection.
#[derive(Default)]
struct Slot {
    open: RwLock<Option<Open>>,
    /// When and why the last attempt failed; whoever waited for it has failed, too.
    opening: Mutex<Option<(Instant, Fault)>>,
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    number: u64,
}

impl Link {
    pub(super) fn new(server: RedisServer, connections: usize, eviction: Eviction) -> Self {
        // TLS needs a process-wide provider; whoever installed one before has the same in mind.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            server,
            eviction,
            slots: (0..connections.max(1)).map(|_| Slot::default()).collect(),
            turn: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// Asks on one of the connections, opening it when it is not.
    pub(super) async fn ask(&self, command: &Cmd, deadline: Instant) -> Result<Value, Fault> {
        let slot = &self.slots[self.turn.fetch_add(1, Relaxed) % self.slots.len()];
        let Open {
            mut connection,
            number,
        } = self.open(slot, deadline).await?;
        let mut question = Question {
            slot,
            number,
            deadline,
            answered: false,
        };
        let answer = command.query_async::<Value>(&mut connection);
        let answer = timeout_at(deadline.into(), answer).await;
        question.answered = true;
        let fault = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => blame(&complaint(&error)),
            Err(_) => blame(&Complaint::Late),
        };
        if fault.breaks() {
            slot.discard(number);
        }
        Err(fault)
    }

    /// The connection of a slot. Those that wait for one attempt share its failure.
    async fn open(&self, slot: &Slot, deadline: Instant) -> Result<Open, Fault> {
        if let Some(open) = slot.open.read().clone() {
            return Ok(open);
        }
        let since = Instant::now();
        let opening = timeout_at(deadline.into(), slot.opening.lock());
        let mut failed = opening.await.map_err(|_| blame(&Complaint::Late))?;
        if let Some(open) = slot.open.read().clone() {
            return Ok(open);
        }
        if let Some((_, fault)) = failed.as_ref().filter(|(at, _)| *at > since) {
            return Err(fault.clone());
        }
        let connected = timeout_at(deadline.into(), self.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err(blame(&Complaint::Late)));
        let open = connected.map(|connection| Open {
            connection,
            number: self.opened.fetch_add(1, Relaxed),
        });
        match open {
            Ok(open) => {
                *slot.open.write() = Some(open.clone());
                Ok(open)
            }
            Err(fault) => {
                *failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        let mut connection = dial(&self.server).await?;
        if self.eviction == Eviction::Refused
            && let Some(refusal) = facts(&mut connection).await?.refusal()
        {
            return Err(Fault::Refused(refusal));
        }
        Ok(connection)
    }
}

impl Slot {
    /// Forgets a connection, unless it has been replaced.
    fn discard(&self, number: u64) {
        let mut open = self.open.write();
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
        }
    }
}

/// A question on its way. Given up at or after its deadline, it says that the connection is dead:
/// the caller's timer was quicker than ours.
struct Question<'s> {
    slot: &'s Slot,
    number: u64,
    deadline: Instant,
    answered: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if !self.answered && tokio::time::Instant::now().into_std() >= self.deadline {
            self.slot.discard(self.number);
        }
    }
}

/// Opens a connection of its own.
pub(super) async fn dial(server: &RedisServer) -> Result<MultiplexedConnection, Fault> {
    let client = client(server).map_err(|reason| blame(&Complaint::Client(reason)))?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WAITING)
        .set_write_backpressure_boundary(WRITE_BYTES);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.map_err(|error| blame(&complaint(&error)))
}

/// What the server says of itself. One that keeps it to itself is taken as it is.
pub(super) async fn facts(connection: &mut MultiplexedConnection) -> Result<ServerFacts, Fault> {
    let answer = redis::cmd("INFO").query_async::<String>(connection).await;
    let mut facts = match answer.as_ref().map_err(complaint) {
        Ok(info) => ServerFacts::parse(info),
        Err(Complaint::Server { code, .. }) if code == "NOPERM" => ServerFacts::default(),
        Err(other) => return Err(blame(&other)),
    };
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg("appendfsync");
    let answer = config.query_async::<Vec<String>>(connection).await;
    facts.appendfsync = answer.ok().and_then(|mut pair| pair.pop());
    Ok(facts)
}

/// Reads the files; the reason of a failure names the file and never what is in it.
fn client(server: &RedisServer) -> Result<Client, String> {
    let RedisServer { host, port, .. } = server;
    let address = match &server.tls {
        None => ConnectionAddr::Tcp(host.clone(), *port),
        Some(_) => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
    };
    let mut login = RedisConnectionInfo::default()
        .set_db(server.database.into())
        .set_skip_set_lib_name();
    if let Some(folder) = &server.credentials {
        login = login.set_password(secret(&folder.join("password"))?);
        let username = folder.join("username");
        if username.exists() {
            login = login.set_username(secret(&username)?);
        }
    }
    let info = address
        .into_connection_info()
        .map_err(|error| error.to_string())?;
    let info = info.set_redis_settings(login);
    let Some(tls) = &server.tls else {
        return Client::open(info).map_err(|error| error.to_string());
    };
    let root_cert = tls.authority.as_deref().map(read).transpose()?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert,
    };
    Client::build_with_tls(info, certificates).map_err(|error| error.to_string())
}

fn secret(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(read(path)?);
    let text = text.map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The client's error in our terms.
pub(super) fn complaint(error: &RedisError) -> Complaint {
    match error.kind() {
        ErrorKind::Io => Complaint::Transport(error.to_string()),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => {
            Complaint::Protocol
        }
        // The server's own words have the code in the detail.
        ErrorKind::AuthenticationFailed => Complaint::Server {
            code: "WRONGPASS".to_owned(),
            detail: String::new(),
        },
        ErrorKind::Server(_) | ErrorKind::Extension => Complaint::Server {
            code: error.code().unwrap_or("ERR").to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
        },
        // The rest is refused before anything is sent.
        _ => Complaint::Client(error.to_string()),
    }
}
