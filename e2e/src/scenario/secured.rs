//! Listeners that ask who is there, each met with a wrong Secret that is put right meanwhile.
//! Layer: shell
//!
//! First SCRAM, then TLS with certificates on both sides.

use crate::{
    fleet::Processor,
    kafka::{PASSWORD, USER},
    oracle::Repeats,
    pipeline::Door,
    report::Row,
    rig::{Rig, ScenarioError},
};

const CREDENTIALS: &str = "kafka";
const AUTHORITY: &str = "kafka-ca";
const CERTIFICATE: &str = "kafka-client";

/// Nothing may be repeated: both processors are stopped cleanly.
pub(super) fn secured(mut rig: Rig<'_>, records: u32) -> Result<Row, ScenarioError> {
    rig.lay(records / 2)?;
    rig.enter_by(Door {
        bootstrap: rig.broker().authenticated().to_owned(),
        security: format!("auth: {{mechanism: ScramSha512, secretRef: {{name: {CREDENTIALS}}}}}"),
    });
    rig.put_secret(CREDENTIALS, &[("username", USER), ("password", "wrong")])?;
    let processor = refused(&mut rig, "Authentication")?;
    rig.put_secret(CREDENTIALS, &[("username", USER), ("password", PASSWORD)])?;
    work(&mut rig, processor)?;

    rig.lay(records - records / 2)?;
    let certificates = rig.broker().certificates()?.clone();
    let bootstrap = rig.broker().encrypted().to_owned();
    let security = format!(
        "tls: {{caSecretRef: {{name: {AUTHORITY}, key: ca.crt}}, \
         clientCertificate: {{secretRef: {{name: {CERTIFICATE}}}}}}}"
    );
    rig.enter_by(Door {
        bootstrap,
        security,
    });
    let (certificate, key) = certificates.client()?;
    rig.put_secret(CERTIFICATE, &[("tls.crt", &certificate), ("tls.key", &key)])?;
    rig.put_secret(AUTHORITY, &[("ca.crt", &certificates.stranger()?)])?;
    let processor = refused(&mut rig, "Tls")?;
    rig.put_secret(AUTHORITY, &[("ca.crt", &certificates.authority()?)])?;
    work(&mut rig, processor)?;
    rig.judge(Repeats::None)
}

/// A processor that was told why it gets no records, in its status and once in its log.
fn refused(rig: &mut Rig<'_>, kind: &str) -> Result<Processor, ScenarioError> {
    let mut processor = rig.launch()?;
    let trouble = processor.await_trouble()?;
    let log = rig.log(&processor)?;
    let lines = log.lines().filter(|line| line.contains("kafka client"));
    let told = lines.filter(|line| line.contains(kind)).count();
    if told != 1 {
        rig.fault(Some(format!(
            "{kind} was told {told} times in the log while the status said: {trouble}"
        )));
    }
    if log.contains(PASSWORD) {
        rig.fault(Some("the password stands in the log".to_owned()));
    }
    Ok(processor)
}

/// Everything that was laid, then a clean stop.
fn work(rig: &mut Rig<'_>, mut processor: Processor) -> Result<(), ScenarioError> {
    rig.await_assigned(&mut processor)?;
    rig.must_have_progressed(&processor);
    let mut fleet = [processor];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.stop(processor)
}
