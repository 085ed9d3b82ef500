//! What the object asks of the operator rather than of the processors.
//! Layer: core

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Toleration;
use serde::Deserialize;
use serde_json::Value;

/// The part of the spec that the operator acts on itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wishes {
    /// What the fleet should do.
    pub state: State,
    /// How many pods.
    pub replicas: Option<i32>,
    /// Who decides how many pods.
    pub autoscaling: Autoscaling,
    /// How a new revision comes in.
    pub rollout: Rollout,
    /// How many pods an eviction may take.
    pub disruption_budget: DisruptionBudget,
    /// How pods look.
    pub pod: PodWishes,
    /// The user's own image.
    pub image: Option<String>,
}

/// What the fleet should do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum State {
    /// Work.
    #[default]
    Running,
    /// Keep pods and membership, admit nothing.
    Paused,
    /// Finish, commit, go.
    Drained,
}

impl State {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Drained => "Drained",
        }
    }
}

/// Who decides how many pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaling {
    /// Who.
    pub mode: ScalingMode,
    /// Fewest pods.
    pub min_replicas: Option<i32>,
    /// Most pods.
    pub max_replicas: Option<i32>,
}

/// Who decides how many pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ScalingMode {
    /// A human or Git.
    #[default]
    Off,
    /// The same, with advice.
    Advise,
    /// The operator.
    Builtin,
    /// An external scaler, through `/scale`.
    External,
}

/// How a new revision comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollout {
    /// Longest time without progress.
    pub progress_deadline_seconds: Option<i32>,
    /// Any change restarts every pod.
    pub restart_token: Option<String>,
}

/// How many pods an eviction may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisruptionBudget {
    /// Pods at a time.
    pub max_unavailable: Option<i32>,
}

/// How pods look.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodWishes {
    /// Labels beside ours.
    pub labels: BTreeMap<String, String>,
    /// Annotations beside ours.
    pub annotations: BTreeMap<String, String>,
    /// Nodes with these labels.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that do not matter.
    pub tolerations: Vec<Toleration>,
    /// Over what the pods are spread.
    pub topology_spread: Spread,
    /// Priority class.
    pub priority_class_name: Option<String>,
    /// Secrets for pulling images.
    pub image_pull_secrets: Vec<NamedSecret>,
}

/// A Secret by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamedSecret {
    /// Its name.
    pub name: String,
}

/// Over what the pods are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Spread {
    /// Nothing.
    None,
    /// Nodes.
    #[default]
    Node,
    /// Zones.
    Zone,
}

/// Fields of the spec that say nothing to a processor: they are not in its settings, and changing
/// them restarts nothing.
const OPERATOR_ONLY: [&str; 5] = [
    "replicas",
    "autoscaling",
    "rollout",
    "disruptionBudget",
    "pod",
];

/// The spec as processors get it.
#[must_use]
pub fn for_processors(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| !OPERATOR_ONLY.contains(&name.as_str()));
    }
    spec
}

/// The same without what is reloaded instead of rolled out.
#[must_use]
pub fn without_state(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("state");
    }
    spec
}

/// Names of the Secrets that pods mount: every `caSecretRef` and `secretRef` in the spec.
#[must_use]
pub fn secrets(spec: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(spec, &mut |name, value| {
        let refers = name == "secretRef" || name == "caSecretRef";
        found.extend(value["name"].as_str().filter(|_| refers).map(str::to_owned));
    });
    found
}

/// Ports that pods reach: brokers, sinks, endpoints.
#[must_use]
pub fn ports(spec: &Value) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    visit(spec, &mut |name, value| {
        let texts = || {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
        };
        match name {
            "bootstrapServers" | "hosts" => found.extend(texts().filter_map(port)),
            "urls" => found.extend(texts().filter_map(url_port)),
            "address" => found.extend(value.as_str().and_then(port)),
            "url" => found.extend(value.as_str().and_then(url_port)),
            _ => {}
        }
    });
    found
}

fn visit(value: &Value, look: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                look(name, value);
                visit(value, look);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, look)),
        _ => {}
    }
}

fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

fn url_port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // the colons of a bracketed address are no port
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(if scheme == "https" { 443 } else { 80 }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_and_ports_are_found_wherever_they_are() {
        let spec = json!({
            "source": {
                "bootstrapServers": ["kafka-0:9093", "[::1]:9094"],
                "tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"},
                        "clientCertificate": {"secretRef": {"name": "cert"}}},
                "auth": {"secretRef": {"name": "user"}},
            },
            "stages": [{"http": {"url": "https://x.example/a:1", "secretRef": {"name": "token"}}}],
            "sinks": [
                {"elasticsearch": {"urls": ["http://es:9200/", "http://[::2]/"]}},
                {"mongodb": {"hosts": ["m:27017"]}}, {"redis": {"address": "r:6379"}},
            ],
            "pod": {"imagePullSecrets": [{"name": "pull"}]},
        });
        let secrets: Vec<_> = secrets(&spec).into_iter().collect();
        assert_eq!(secrets, ["ca", "cert", "token", "user"]);
        let ports: Vec<_> = ports(&spec).into_iter().collect();
        assert_eq!(ports, [80, 443, 6379, 9093, 9094, 9200, 27017]);
    }

    #[test]
    fn what_only_the_operator_reads_restarts_nothing() {
        let spec = json!({"state": "Paused", "replicas": 3, "rollout": {}, "source": 1});
        assert_eq!(
            for_processors(&spec),
            json!({"state": "Paused", "source": 1})
        );
        assert_eq!(without_state(&for_processors(&spec)), json!({"source": 1}));
    }
}
