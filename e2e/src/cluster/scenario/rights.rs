//! What the operator asked of the API server, by its audit log, against what it may ask.
//! Layer: shell

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Notes;
use crate::cluster::{
    CheckError,
    ground::Ground,
    images,
    world::{World, hold},
};

const LOG: &str = "/var/log/kubernetes/audit.log";
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// How often something was asked, by verb, group and resource.
pub(super) struct Asked(BTreeMap<String, u64>);

impl Asked {
    /// What was asked more often than before.
    pub(super) fn difference(&self, before: &Self) -> Vec<String> {
        let more = self.0.iter().filter_map(|(what, count)| {
            let count = count - before.0.get(what).unwrap_or(&0);
            (count > 0).then(|| format!("{what} {count} times"))
        });
        more.collect()
    }
}

/// The operator's writes since the cluster came up, its Lease excepted.
pub(super) fn writes(ground: &Ground) -> Result<Asked, CheckError> {
    let mut writes = calls(ground)?;
    writes.0.retain(|what, _| {
        WRITES
            .iter()
            .any(|verb| what.starts_with(&format!("{verb} ")))
            && !what.contains("leases")
    });
    Ok(writes)
}

fn calls(ground: &Ground) -> Result<Asked, CheckError> {
    let log = ground.in_node(&Ground::control_plane(), &["cat", LOG])?;
    let mut asked = BTreeMap::new();
    for line in log.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let reference = &event["objectRef"];
        // A watch is told twice; discovery names no object.
        if event["stage"] != "ResponseComplete" && event["verb"] != "watch" || reference.is_null() {
            continue;
        }
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut resource = word(&reference["resource"]);
        if let Some(subresource) = reference["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let what = format!(
            "{} {}/{resource}",
            word(&event["verb"]),
            word(&reference["apiGroup"])
        );
        *asked.entry(what).or_insert(0) += 1;
    }
    Ok(Asked(asked))
}

/// After the other scenarios: no call outside the role, no right in it that nobody used.
pub(super) fn rights(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let granted = granted()?;
    let asked: BTreeSet<String> = calls(world.site.ground)?.0.into_keys().collect();
    let outside: Vec<_> = asked.difference(&granted).cloned().collect();
    hold!(outside.is_empty(), || {
        format!("asked without a right: {}", outside.join("; "))
    })?;
    let unused: Vec<_> = granted.difference(&asked).cloned().collect();
    Ok(vec![
        format!("{} kinds of calls, all within the role", asked.len()),
        format!("rights that this run did not use: {}", unused.join("; ")),
    ])
}

/// Every right of the role, as `verb group/resource`.
fn granted() -> Result<BTreeSet<String>, CheckError> {
    let path = images::repository().join("charts/penstock/files/role.yaml");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| CheckError::broken(format!("{}: {e}", path.display())))?;
    let mut rights = BTreeSet::new();
    for document in text.split("\n---\n") {
        let role: Value = serde_saphyr::from_str(document)
            .map_err(|e| CheckError::broken(format!("{}: {e}", path.display())))?;
        for rule in role["rules"].as_array().into_iter().flatten() {
            for verb in words(&rule["verbs"]) {
                for group in words(&rule["apiGroups"]) {
                    for resource in words(&rule["resources"]) {
                        rights.insert(format!("{verb} {group}/{resource}"));
                    }
                }
            }
        }
    }
    Ok(rights)
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}
