//! Judges references to Secrets, TLS and authentication.
//! Layer: core

use crate::{
    event_pipeline::{AuthSpec, SecretKeyRef, SecretRef, SinkTlsSpec, TlsSpec},
    fault::Collector,
    names::{SecretKey, SecretName},
    pipeline::{Auth, SecretFile, SinkTls, Tls},
};

const SOURCE: &str = "spec.source";

/// The Secret below `path.secretRef`: `Some(None)` when there is none, `None` when it is wrong.
pub(super) fn secret(
    path: &str,
    written: Option<&SecretRef>,
    faults: &mut Collector,
) -> Option<Option<SecretName>> {
    let Some(written) = written else {
        return Some(None);
    };
    name(&format!("{path}.secretRef"), written, faults).map(Some)
}

/// TLS below `path.tls`: `Some(None)` when there is none, `None` when it is wrong.
pub(super) fn sink_tls(
    path: &str,
    written: Option<&SinkTlsSpec>,
    faults: &mut Collector,
) -> Option<Option<SinkTls>> {
    let Some(written) = written else {
        return Some(None);
    };
    let authority = authority(path, written.ca_secret_ref.as_ref(), faults)?;
    Some(Some(SinkTls { authority }))
}

/// TLS to the brokers.
pub(super) fn tls(written: &TlsSpec, faults: &mut Collector) -> Option<Tls> {
    let authority = authority(SOURCE, written.ca_secret_ref.as_ref(), faults);
    let certificate = written.client_certificate.as_ref();
    let path = format!("{SOURCE}.tls.clientCertificate");
    let certificate = certificate.map(|own| secret(&path, Some(&own.secret_ref), faults));
    Some(Tls {
        authority: authority?,
        client_certificate: certificate.unwrap_or(Some(None))?,
    })
}

/// How the processor proves to the brokers who it is.
pub(super) fn auth(written: &AuthSpec, faults: &mut Collector) -> Option<Auth> {
    let path = format!("{SOURCE}.auth.secretRef");
    Some(Auth {
        mechanism: written.mechanism,
        secret: name(&path, &written.secret_ref, faults)?,
    })
}

/// The name in a reference to a Secret.
pub(super) fn name(path: &str, written: &SecretRef, faults: &mut Collector) -> Option<SecretName> {
    faults.keep(format!("{path}.name"), SecretName::parse(&written.name))
}

fn authority(
    path: &str,
    written: Option<&SecretKeyRef>,
    faults: &mut Collector,
) -> Option<Option<SecretFile>> {
    let Some(written) = written else {
        return Some(None);
    };
    let path = format!("{path}.tls.caSecretRef");
    let secret = faults.keep(format!("{path}.name"), SecretName::parse(&written.name));
    let key = faults.keep(format!("{path}.key"), SecretKey::parse(&written.key));
    Some(Some(SecretFile {
        secret: secret?,
        key: key?,
    }))
}
