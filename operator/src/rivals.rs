//! Pipelines that ask for the same consumer group of the same brokers.
//! Layer: core

use std::sync::Arc;

use crate::{
    observed::{Precedence, Rival},
    resource::EventPipeline,
};

/// The rivals of one pipeline among all. The older one keeps the group.
#[must_use]
pub fn of(object: &EventPipeline, all: &[Arc<EventPipeline>]) -> Vec<Rival> {
    let rivals = all.iter().filter(|other| collides(object, other));
    rivals
        .map(|other| {
            let elder = age(other) < age(object);
            Rival {
                name: name(other),
                precedence: if elder {
                    Precedence::Elder
                } else {
                    Precedence::Younger
                },
            }
        })
        .collect()
}

fn collides(one: &EventPipeline, other: &EventPipeline) -> bool {
    let same_group = one.spec.group.is_some() && one.spec.group == other.spec.group;
    let shares = || {
        one.spec
            .servers
            .iter()
            .any(|server| other.spec.servers.contains(server))
    };
    one.metadata.uid != other.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && same_group
        && shares()
}

/// By time, then by identity, so that both sides judge alike.
fn age(object: &EventPipeline) -> (Option<k8s_openapi::jiff::Timestamp>, Option<&str>) {
    let metadata = &object.metadata;
    (
        metadata.creation_timestamp.as_ref().map(|at| at.0),
        metadata.uid.as_deref(),
    )
}

fn name(object: &EventPipeline) -> String {
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    format!(
        "{namespace}/{}",
        metadata.name.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline(name: &str, created: &str, server: &str) -> Arc<EventPipeline> {
        let object = json!({
            "metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": created},
            "spec": {"source": {"consumerGroup": "g", "bootstrapServers": [server, "x:1"]}},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn the_elder_is_the_same_from_both_sides() {
        let old = pipeline("old", "2026-01-01T00:00:00Z", "k:1");
        let new = pipeline("new", "2026-01-02T00:00:00Z", "k:2");
        let all = [old.clone(), new.clone()];
        let elder = |name: &str| {
            vec![Rival {
                name: name.into(),
                precedence: Precedence::Elder,
            }]
        };
        assert_eq!(of(&new, &all), elder("n/old"));
        assert_eq!(of(&old, &all)[0].precedence, Precedence::Younger);
    }

    #[test]
    fn other_brokers_or_another_group_are_no_rivals() {
        let one = pipeline("one", "2026-01-01T00:00:00Z", "k:1");
        let mut other = (*pipeline("other", "2026-01-01T00:00:00Z", "k:1")).clone();
        other.spec.servers = vec!["y:1".into()];
        assert_eq!(of(&one, &[Arc::new(other.clone())]), []);
        other.spec.servers = one.spec.servers.clone();
        other.spec.group = None;
        assert_eq!(of(&one, &[Arc::new(other)]), []);
    }
}
