//! What the operator asked of the API server, by its audit log, against what it may ask.
//! Layer: shell

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Notes;
use crate::cluster::{
    CheckError,
    audit::{self, Call},
    ground::Ground,
    images,
    world::{World, hold},
};

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
    asked(ground, |call| {
        call.is_write() && !call.what.contains("leases")
    })
}

/// All that it asked.
pub(super) fn asked(ground: &Ground, is_meant: fn(&Call) -> bool) -> Result<Asked, CheckError> {
    let mut asked = BTreeMap::new();
    for call in audit::calls(ground)?.into_iter().filter(is_meant) {
        *asked.entry(call.what).or_insert(0) += 1;
    }
    Ok(Asked(asked))
}

/// After the other scenarios: no call outside the role, no right in it that nobody used.
pub(super) fn rights(world: &mut World<'_>) -> Result<Notes, CheckError> {
    let granted = granted()?;
    let asked: BTreeSet<String> = asked(world.site.ground, |_| true)?.0.into_keys().collect();
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
