//! The settings file in its ConfigMap, with what was proved of the connection beside it.
//! Layer: core

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{names, reconcile::plan::Fleet};

/// Name of the file.
pub const FILE: &str = "settings.json";
/// Where pods find it.
pub const FOLDER: &str = "/etc/penstock/settings";
/// Where pods find their Secrets, one folder each.
pub const SECRETS: &str = "/etc/penstock/secrets";

/// The ConfigMap.
#[must_use]
pub fn config_map(mut metadata: ObjectMeta, fleet: &Fleet) -> ConfigMap {
    let facts = serde_json::to_string(&fleet.facts).expect("facts have text keys");
    metadata.annotations = Some(BTreeMap::from([
        (names::PROVEN.to_owned(), fleet.connection.clone()),
        (names::FACTS.to_owned(), facts),
    ]));
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(FILE.to_owned(), text(&fleet.settings))])),
        ..ConfigMap::default()
    }
}

/// The file's text, one field a line, so that a diff can be read.
#[must_use]
pub fn text(settings: &serde_json::Value) -> String {
    format!("{settings:#}\n")
}
