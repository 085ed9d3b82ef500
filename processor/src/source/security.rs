//! How a client proves who it is and whom it trusts, read from the mounted Secrets for each client.
//! Layer: shell
//!
//! Certificates are given to the client as files, names and passwords as values. No property that
//! runs, loads or fetches anything is ever set, and the check of host names is never switched off.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
};

use penstock_crds::pipeline::{self, Mechanism};

/// Keys of a Secret with a client certificate, as `kubectl create secret tls` makes it.
const CERTIFICATE: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";

/// Keys of a Secret with credentials.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// A key of a Secret that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("secret {secret}: key {key} {what}")]
pub struct SecretError {
    /// Field of the object that refers to it.
    pub field: &'static str,
    /// Name of the Secret.
    pub secret: String,
    /// The key.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

/// What to connect with. Holds references and no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    secrets: PathBuf,
    tls: Option<pipeline::Tls>,
    auth: Option<pipeline::Auth>,
}

/// Properties for one client. Two are equal when the client would do the same with both.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    properties: Vec<(&'static str, String)>,
    /// Of the files that the properties name.
    content: u64,
}

impl Identity {
    /// Names and values; some are secret.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.properties
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

impl Security {
    /// What the object asks for; `secrets` is the folder of all Secrets.
    #[must_use]
    pub fn of(source: &pipeline::Source, secrets: &Path) -> Self {
        Self {
            secrets: secrets.to_owned(),
            tls: source.tls.clone(),
            auth: source.auth.clone(),
        }
    }

    /// Reads the Secrets as they are now.
    ///
    /// # Errors
    /// When a key is missing, unreadable or no text.
    pub fn read(&self) -> Result<Identity, SecretError> {
        let mut reading = Reading {
            secrets: &self.secrets,
            properties: vec![("security.protocol", self.protocol().to_owned())],
            content: DefaultHasher::new(),
        };
        self.tls.iter().try_for_each(|tls| reading.tls(tls))?;
        self.auth.iter().try_for_each(|auth| reading.auth(auth))?;
        Ok(Identity {
            properties: reading.properties,
            content: reading.content.finish(),
        })
    }

    fn protocol(&self) -> &'static str {
        match (&self.tls, &self.auth) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        }
    }
}

struct Reading<'a> {
    secrets: &'a Path,
    properties: Vec<(&'static str, String)>,
    content: DefaultHasher,
}

impl Reading<'_> {
    fn tls(&mut self, tls: &pipeline::Tls) -> Result<(), SecretError> {
        if let Some(authority) = &tls.authority {
            let (secret, key) = (authority.secret.as_str(), authority.key.as_str());
            let file = self.file(("spec.source.tls.caSecretRef", secret, key))?;
            self.properties.push(("ssl.ca.location", file));
        }
        if let Some(secret) = &tls.client_certificate {
            let field = "spec.source.tls.clientCertificate.secretRef";
            let certificate = self.file((field, secret.as_str(), CERTIFICATE))?;
            let key = self.file((field, secret.as_str(), PRIVATE_KEY))?;
            self.properties
                .push(("ssl.certificate.location", certificate));
            self.properties.push(("ssl.key.location", key));
        }
        Ok(())
    }

    fn auth(&mut self, auth: &pipeline::Auth) -> Result<(), SecretError> {
        let mechanism = match auth.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        let (field, secret) = ("spec.source.auth.secretRef", auth.secret.as_str());
        let username = self.text((field, secret, USERNAME))?;
        let password = self.text((field, secret, PASSWORD))?;
        self.properties.extend([
            ("sasl.mechanisms", mechanism.to_owned()),
            ("sasl.username", username),
            ("sasl.password", password),
        ]);
        Ok(())
    }

    /// The file's path, after it was seen to be readable.
    fn file(&mut self, place: (&'static str, &str, &str)) -> Result<String, SecretError> {
        let (path, bytes) = self.bytes(place)?;
        bytes.hash(&mut self.content);
        match path.into_os_string().into_string() {
            Ok(path) => Ok(path),
            Err(path) => Err(fault(
                place,
                format!("has a path that is not UTF-8: {path:?}"),
            )),
        }
    }

    /// The value, without the line break that editors leave at its end.
    fn text(&self, place: (&'static str, &str, &str)) -> Result<String, SecretError> {
        let (_, bytes) = self.bytes(place)?;
        // The error would show the bytes.
        let text = String::from_utf8(bytes).map_err(|_| fault(place, "is not UTF-8".to_owned()))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(fault(place, "is empty".to_owned())),
            // librdkafka takes C strings.
            text if text.contains('\0') => Err(fault(place, "contains a NUL byte".to_owned())),
            text => Ok(text.to_owned()),
        }
    }

    fn bytes(&self, place: (&'static str, &str, &str)) -> Result<(PathBuf, Vec<u8>), SecretError> {
        let (_, secret, key) = place;
        let path = self.secrets.join(secret).join(key);
        match fs::read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(fault(
                place,
                format!("is missing (looked for {})", path.display()),
            )),
            Err(error) => Err(fault(place, format!("cannot be read: {error}"))),
        }
    }
}

fn fault((field, secret, key): (&'static str, &str, &str), what: String) -> SecretError {
    SecretError {
        field,
        secret: secret.to_owned(),
        key: key.to_owned(),
        what,
    }
}
