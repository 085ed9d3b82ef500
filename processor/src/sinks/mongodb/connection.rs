//! Commands to the server: over pooled connections, within a deadline, with credentials of now.
//! Layer: shell

use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf};
use mongodb::{
    Client,
    error::{Error, ErrorKind},
    options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions},
};
use parking_lot::Mutex;

use super::{MongodbSettings, values::unavailable};
use crate::sinks::{SinkError, secret::Watch};

/// Connections at once: the returning updates, the commands of a group, a flush.
const CONNECTIONS: u32 = super::RETURNING + 4;
/// Longest search for a server that can take writes; shorter than the deadline, because it knows
/// what is wrong.
const SELECTION: Duration = Duration::from_secs(5);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest part of an error that is kept, characters: it lists every server.
const LONGEST_REASON: usize = 300;

/// Codes of a server that does not accept the credentials, or not for this.
const UNAUTHORIZED: [i32; 2] = [13, 18];

/// A client of one deployment.
pub(super) struct Connection {
    settings: MongodbSettings,
    session: Mutex<Session>,
}

/// What the client was made with.
#[derive(Clone, PartialEq, Eq)]
struct Material {
    credential: Option<(String, String)>,
    ca: Option<Vec<u8>>,
}

struct Session {
    material: Material,
    client: Client,
    watch: Watch,
}

/// Why a command did not succeed as a whole.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused it with a code; the message may hold payload.
    Refused { code: i32, message: String },
    /// It did not come to that.
    Sink(SinkError),
}

impl Connection {
    /// Connects in the background; call it inside a runtime.
    pub(super) fn open(settings: &MongodbSettings) -> Result<Self, SinkError> {
        let material = material(settings)?;
        let client = client(settings, &material)?;
        Ok(Self {
            settings: settings.clone(),
            session: Mutex::new(Session {
                material,
                client,
                watch: Watch::begin(now()),
            }),
        })
    }

    /// Runs a command; with other credentials once more if there are such.
    pub(super) async fn run(
        &self,
        command: RawDocumentBuf,
        deadline: Instant,
    ) -> Result<Document, Failure> {
        let (client, used) = self.session();
        let failure = match self.run_with(&client, command.clone(), deadline).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if !is_unauthorized(&failure) {
            return Err(told(&failure));
        }
        match material(&self.settings) {
            Ok(material) if material != used => {
                let client = self.renew(material).map_err(Failure::Sink)?;
                let answer = self.run_with(&client, command, deadline).await;
                answer.map_err(|error| told(&error))
            }
            Ok(_) | Err(_) => Err(told(&failure)),
        }
    }

    async fn run_with(
        &self,
        client: &Client,
        command: RawDocumentBuf,
        deadline: Instant,
    ) -> Result<Document, Error> {
        let database = client.database(&self.settings.database);
        let answer = async { database.run_raw_command(command).await };
        let answer = tokio::time::timeout_at(deadline.into(), answer).await;
        answer.unwrap_or_else(|_| Err(Error::custom("no answer in time")))
    }

    /// The client of now; the files are looked at when it is time. While they cannot be read, as
    /// in the moment of an exchange, the last ones hold.
    fn session(&self) -> (Client, Material) {
        let (due, current) = {
            let mut session = self.session.lock();
            let due = session.watch.is_due(now());
            (due, (session.client.clone(), session.material.clone()))
        };
        if !due {
            return current;
        }
        match material(&self.settings) {
            Ok(material) if material != current.1 => match self.renew(material.clone()) {
                Ok(client) => (client, material),
                Err(_) => current,
            },
            Ok(_) | Err(_) => current,
        }
    }

    /// The client takes credentials only when it is made.
    fn renew(&self, material: Material) -> Result<Client, SinkError> {
        let mut session = self.session.lock();
        if session.material != material {
            session.client = client(&self.settings, &material)?;
            session.material = material;
        }
        Ok(session.client.clone())
    }
}

fn material(settings: &MongodbSettings) -> Result<Material, SinkError> {
    let credential = match &settings.secret {
        Some(secret) => Some((secret.required("username")?, secret.required("password")?)),
        None => None,
    };
    let ca = settings.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    let ca = match ca {
        Some((secret, key)) => {
            let found = secret.bytes(key)?;
            Some(found.ok_or_else(|| unavailable(&format!("key {key} of the CA is missing")))?)
        }
        None => None,
    };
    Ok(Material { credential, ca })
}

fn client(settings: &MongodbSettings, material: &Material) -> Result<Client, SinkError> {
    let mut options = ClientOptions::default();
    let hosts = settings.hosts.iter().map(|host| {
        ServerAddress::parse(host).map_err(|error| unavailable(&format!("host {host:?}: {error}")))
    });
    options.hosts = hosts.collect::<Result<_, _>>()?;
    options.app_name = Some("penstock".to_owned());
    options.repl_set_name.clone_from(&settings.replica_set);
    options.max_pool_size = Some(CONNECTIONS);
    options.connect_timeout = Some(CONNECT);
    options.server_selection_timeout = Some(SELECTION);
    options.tls = settings.tls.as_ref().map(|tls| {
        let mut options = TlsOptions::default();
        options.ca_file_path = tls.ca.as_ref().map(|(secret, key)| secret.file(key));
        Tls::Enabled(options)
    });
    options.credential = material.credential.as_ref().map(|(name, password)| {
        let mut credential = Credential::default();
        credential.username = Some(name.clone());
        credential.password = Some(password.clone());
        credential.source.clone_from(&settings.auth_source);
        credential
    });
    Client::with_options(options).map_err(|error| unavailable(&reason(&error)))
}

fn is_unauthorized(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => true,
        ErrorKind::Command(refused) => UNAUTHORIZED.contains(&refused.code),
        _ => false,
    }
}

fn told(error: &Error) -> Failure {
    match error.kind.as_ref() {
        ErrorKind::Command(refused) => Failure::Refused {
            code: refused.code,
            message: refused.message.clone(),
        },
        _ => Failure::Sink(unavailable(&reason(error))),
    }
}

/// No kind of error but that of a command quotes what was sent.
fn reason(error: &Error) -> String {
    if let Some(text) = error.get_custom::<&'static str>() {
        return (*text).to_owned();
    }
    error
        .kind
        .to_string()
        .chars()
        .take(LONGEST_REASON)
        .collect()
}

/// The runtime's clock, so that tests may stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
