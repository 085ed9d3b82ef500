//! What single texts and quantities must look like, in words and as a rule of the API server.
//! Layer: core
//!
//! The same as [`crate::names`] judges; a test compares the two on every bad object.

use serde_json::{Value, json};

use super::structural::at;

/// What a text must look like.
struct Format {
    /// What it is, and what is legal.
    message: &'static str,
    /// For the whole text.
    pattern: &'static str,
    /// Fields that must look like this.
    fields: &'static [&'static str],
}

const PORT: &str =
    "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const HOST: &str = "(\\[[0-9A-Fa-f:]+\\]|[A-Za-z0-9._-]+)";
const PART: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

const FORMATS: [Format; 15] = [
    Format {
        message: "must be 1 to 40 of a-z 0-9 -, starting and ending with a letter or digit",
        pattern: "{part}",
        fields: &[
            "spec.stages[].name",
            "spec.stages[].custom.name",
            "spec.sinks[].name",
        ],
    },
    Format {
        message: "must be 1 to 249 of a-z A-Z 0-9 . _ -, and neither . nor ..",
        pattern: "([A-Za-z0-9_-]|\\.[A-Za-z0-9_-]|\\.\\.[A-Za-z0-9._-])[A-Za-z0-9._-]*",
        fields: &[
            "spec.source.topics[].name",
            "spec.failure.deadLetterTopic",
            "spec.stages[].produce.topic",
        ],
    },
    Format {
        message: "must be letters, digits and . _ -",
        pattern: "[A-Za-z0-9._-]+",
        fields: &[
            "spec.source.consumerGroup",
            "spec.source.client.rack",
            "spec.stages[].produce.headers[].name",
            "spec.sinks[].mongodb.replicaSet",
        ],
    },
    Format {
        message: "must be host:port with a port of 1 to 65535, such as kafka:9092",
        pattern: "{host}:{port}",
        fields: &[
            "spec.source.bootstrapServers[]",
            "spec.sinks[].mongodb.hosts[]",
            "spec.sinks[].redis.address",
        ],
    },
    Format {
        message: "must be http:// or https://, a host, and a port and path where needed, without user, query and fragment, such as https://search:9200",
        pattern: "https?://{host}(:{port})?(/[!\"$->@-~]*)?",
        fields: &["spec.sinks[].elasticsearch.urls[]"],
    },
    Format {
        message: "must be http:// or https://, a host, and a port, path and query where needed, without user and fragment, such as https://hooks:8443/leads",
        pattern: "https?://{host}(:{port})?([/?][!\"$-~]*)?",
        fields: &["spec.stages[].http.url"],
    },
    Format {
        message: "must be the name of a Secret: 1 to 253 of a-z 0-9 - ., each part between dots starting and ending with a letter or digit",
        pattern: "{part}(\\.{part})*",
        fields: &[
            "spec.source.tls.caSecretRef.name",
            "spec.source.tls.clientCertificate.secretRef.name",
            "spec.source.auth.secretRef.name",
            "spec.sinks[].elasticsearch.secretRef.name",
            "spec.sinks[].elasticsearch.tls.caSecretRef.name",
            "spec.sinks[].mongodb.secretRef.name",
            "spec.sinks[].mongodb.tls.caSecretRef.name",
            "spec.sinks[].redis.secretRef.name",
            "spec.sinks[].redis.tls.caSecretRef.name",
            "spec.stages[].http.secretRef.name",
            "spec.pod.imagePullSecrets[].name",
            "spec.pod.priorityClassName",
        ],
    },
    Format {
        message: "must be the key of a Secret: 1 to 253 of a-z A-Z 0-9 . _ -, not starting with a dot",
        pattern: "[A-Za-z0-9_-][A-Za-z0-9._-]*",
        fields: &[
            "spec.source.tls.caSecretRef.key",
            "spec.sinks[].elasticsearch.tls.caSecretRef.key",
            "spec.sinks[].mongodb.tls.caSecretRef.key",
            "spec.sinks[].redis.tls.caSecretRef.key",
        ],
    },
    Format {
        message: "must be letters, digits, _ and -",
        pattern: "[A-Za-z0-9_-]+",
        fields: &[
            "spec.sinks[].mongodb.database",
            "spec.sinks[].mongodb.authSource",
        ],
    },
    Format {
        message: "must be letters, digits and -",
        pattern: "[A-Za-z0-9-]+",
        fields: &["spec.stages[].http.headers[].name"],
    },
    Format {
        message: "must be 1 to 100 of a-z 0-9 _ -, starting with a letter",
        pattern: "[a-z][a-z0-9_-]*",
        fields: &[
            "spec.stages[].upsert.collection",
            "spec.stages[].count.collection",
        ],
    },
    Format {
        message: "must be a field: a-z A-Z 0-9 _ - with single dots between, no part starting with a digit or -",
        pattern: "[A-Za-z_][A-Za-z0-9_-]*(\\.[A-Za-z_][A-Za-z0-9_-]*)*",
        fields: &[
            "spec.stages[].upsert.changes[].field",
            "spec.stages[].count.amounts[].field",
        ],
    },
    Format {
        message: "must be 1 to 64 of a-z A-Z 0-9 _, not starting with a digit",
        pattern: "[A-Za-z_][A-Za-z0-9_]*",
        fields: &[
            "spec.stages[].set.fields[].name",
            "spec.stages[].upsert.returning",
            "spec.stages[].http.returning",
        ],
    },
    Format {
        message: "must be an image: registry, path and tag or digest, such as shop/stages:1.2",
        pattern: "[A-Za-z0-9]([-A-Za-z0-9_./:@+]*[A-Za-z0-9])?",
        fields: &["spec.image"],
    },
    Format {
        message: "must be 1 to 64 of a-z A-Z 0-9 . : _ -, such as a time",
        pattern: "[A-Za-z0-9.:_-]+",
        fields: &["spec.rollout.restartToken"],
    },
];

/// Amounts of bytes up to 1 GB, which is what Kafka takes.
const SIZES: [&str; 3] = [
    "spec.source.maxMessageBytes",
    "spec.source.facts.largestBatchBytes",
    "spec.source.facts.typicalValueBytes",
];
/// Amounts above nothing.
const AMOUNTS: [&str; 4] = [
    "spec.resources.limits.memory",
    "spec.resources.limits.cpu",
    "spec.resources.requests.memory",
    "spec.resources.requests.cpu",
];
/// Amounts that may be nothing.
const POOLS: [&str; 5] = [
    "spec.memory.overrides.kafka",
    "spec.memory.overrides.dispatcher",
    "spec.memory.overrides.active",
    "spec.memory.overrides.sinks",
    "spec.memory.overrides.caches",
];

/// Adds every format to its fields.
pub(super) fn add(schema: &mut Value) {
    for format in &FORMATS {
        let pattern = format.pattern.replace("{host}", HOST);
        let pattern = pattern.replace("{port}", PORT).replace("{part}", PART);
        let rule = format!("self.matches(r'^({pattern})$')");
        for field in format.fields {
            push(at(schema, field), &rule, format.message);
        }
    }
    for field in SIZES {
        let message = "must be a quantity of 1 to 1000M bytes, such as 1Mi";
        push(at(schema, field), &between("1", "1000M"), message);
    }
    for field in AMOUNTS {
        let message = "must be a quantity above 0, such as 256Mi for memory or 500m for cpu";
        push(at(schema, field), &above_nothing(), message);
    }
    for field in POOLS {
        let message = "must be a quantity of 0 bytes or more, such as 16Mi";
        push(at(schema, field), &between("0", "8Ei"), message);
    }
}

fn above_nothing() -> String {
    "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))".to_owned()
}

fn between(least: &str, most: &str) -> String {
    format!(
        "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('{least}')) >= 0 \
         && quantity(string(self)).compareTo(quantity('{most}')) <= 0"
    )
}

/// Adds a rule to a node.
pub(super) fn push(node: &mut Value, rule: &str, message: &str) {
    let rule = json!({"rule": rule, "message": message, "reason": "FieldValueInvalid"});
    match node
        .get_mut("x-kubernetes-validations")
        .and_then(Value::as_array_mut)
    {
        Some(rules) => rules.push(rule),
        None => node["x-kubernetes-validations"] = json!([rule]),
    }
}
