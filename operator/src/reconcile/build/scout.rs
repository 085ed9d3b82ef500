//! The pod that tries a connection: the processor's image in checking mode.
//! Layer: core
//!
//! Its settings are in an annotation of its own, so that it is one write and leaves nothing behind.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};

use super::{pod, settings};
use crate::{names, reconcile::plan::Scout, subject::Subject};

/// What a scout may use.
const MEMORY: u64 = 48 << 20;
const MILLICORES: u64 = 50;
/// Longest life: pulling the image, connecting, asking.
const DEADLINE_SECONDS: i64 = 180;
/// How quickly it goes when it is no longer needed; it holds nothing.
const GRACE_SECONDS: i64 = 1;

/// The pod of one try.
#[must_use]
pub fn pod(subject: &Subject, scout: &Scout) -> Pod {
    let name = names::scout(&subject.name, &scout.connection, scout.attempt);
    let mut metadata = subject.child(&name, names::SCOUT);
    metadata.annotations = Some(BTreeMap::from([
        (names::TRIES.to_owned(), scout.connection.clone()),
        (names::ATTEMPT.to_owned(), scout.attempt.to_string()),
        (names::SETTINGS.to_owned(), settings::text(&scout.settings)),
    ]));
    let amounts = || {
        pod::amounts([
            ("memory", Some(pod::bytes(MEMORY))),
            ("cpu", Some(pod::cores(MILLICORES))),
        ])
    };
    let resources = ResourceRequirements {
        limits: Some(pod::amounts([
            ("memory", Some(pod::bytes(MEMORY))),
            ("cpu", None),
        ])),
        requests: Some(amounts()),
        ..ResourceRequirements::default()
    };
    let container = pod::container(&scout.valid, &["scout", "--once"], resources);
    let settings = pod::settings_from_annotation(names::SETTINGS);
    let mut spec = pod::spec(&scout.valid, container, settings);
    spec.active_deadline_seconds = Some(DEADLINE_SECONDS);
    spec.restart_policy = Some("Never".to_owned());
    spec.termination_grace_period_seconds = Some(GRACE_SECONDS);
    Pod {
        metadata,
        spec: Some(spec),
        status: None,
    }
}
