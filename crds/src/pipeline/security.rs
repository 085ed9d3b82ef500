//! Secrets, TLS and authentication of a validated pipeline: names only, never content.
//! Layer: core

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{SecretKey, SecretName};

/// One key of a Secret: the file `SECRETNAME/KEY` below the processor's secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The Secret.
    pub secret: SecretName,
    /// Its key.
    pub key: SecretKey,
}

/// TLS to the brokers; certificates and host names are always checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities to trust, PEM; `None` are the image's own.
    pub authority: Option<SecretFile>,
    /// Secret with `tls.crt` and `tls.key`.
    pub client_certificate: Option<SecretName>,
}

/// How the processor proves to the brokers who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// SASL mechanism.
    pub mechanism: Mechanism,
    /// Secret with `username` and `password`.
    pub secret: SecretName,
}

/// SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// PLAIN: the password itself is sent.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

/// TLS to a sink; certificates and host names are always checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTls {
    /// Authorities to trust, PEM; `None` are the image's own.
    pub authority: Option<SecretFile>,
}
