//! The storefront pipeline of `crds/examples`, pointed at this run's broker, topics and file.
//! Layer: core

use serde_json::{Value, json};

/// The object as users read it.
const EXAMPLE: &str = include_str!("../../../crds/examples/storefront.yaml");

/// What a run puts into the example; all else stays as it is.
#[derive(Clone, Debug)]
pub struct Rewrite<'a> {
    /// Bootstrap servers, comma-separated.
    pub bootstrap_servers: &'a str,
    /// Source topic.
    pub topic: &'a str,
    /// Dead-letter topic.
    pub dead_letter_topic: &'a str,
    /// Consumer group.
    pub group: &'a str,
    /// The embedded sink's file.
    pub sink_path: &'a str,
    /// Memory limit, bytes.
    pub memory_bytes: u64,
    /// Partitions of the source topic, a fact of the plan.
    pub partitions: u32,
    /// Protocol that notices a killed member soonest on this broker.
    pub membership: Membership,
}

/// How the group notices that a member was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// By the embedded broker's own session timeout.
    Consumer,
    /// By the client's, at the least that a real broker allows: the consumer protocol leaves it to
    /// the broker's configuration, 45 s unless changed.
    Classic,
}

/// Why the example could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// It is no YAML.
    #[error("failed to parse the example pipeline: {0}")]
    Parse(#[from] serde_saphyr::Error),
    /// A field to write is not there.
    #[error("the example pipeline has no {0}")]
    Missing(&'static str),
}

/// The object of this run as JSON text, which is YAML, too.
///
/// # Errors
/// When the example is no YAML or lacks a field that is to be changed.
pub fn rewrite(changes: &Rewrite<'_>) -> Result<String, RewriteError> {
    let mut object: Value = serde_saphyr::from_str(EXAMPLE)?;
    let servers: Vec<_> = changes
        .bootstrap_servers
        .split(',')
        .map(str::trim)
        .collect();
    let memory = changes.memory_bytes.to_string();
    let fields: [(&'static str, Value); 7] = [
        ("/spec/source/bootstrapServers", json!(servers)),
        ("/spec/source/topics/0/name", json!(changes.topic)),
        ("/spec/source/consumerGroup", json!(changes.group)),
        ("/spec/resources/limits/memory", json!(memory)),
        ("/spec/sinks/0/embedded/path", json!(changes.sink_path)),
        (
            "/spec/failure/deadLetterTopic",
            json!(changes.dead_letter_topic),
        ),
        // the embedded broker keeps 5 MiB of a partition: a record that waits for its next attempt
        // must not hold back the commits of those behind it for long
        (
            "/spec/failure/backoff",
            json!({"initialMillis": 10, "maxMillis": 1_000}),
        ),
    ];
    for (pointer, value) in fields {
        *object
            .pointer_mut(pointer)
            .ok_or(RewriteError::Missing(pointer))? = value;
    }
    let source = "/spec/source";
    let source = object
        .pointer_mut(source)
        .ok_or(RewriteError::Missing(source))?;
    source["facts"]["partitions"] = json!(changes.partitions);
    source["facts"]["brokers"] = json!(1);
    match changes.membership {
        Membership::Consumer => {
            source["groupProtocol"] = json!("Consumer");
            // production waits for commits here, so they come more often than a real broker needs
            source["client"] = json!({"commitIntervalMillis": 250});
        }
        Membership::Classic => {
            source["groupProtocol"] = json!("Classic");
            source["client"] = json!({"sessionTimeoutMillis": 6_000});
        }
    }
    Ok(object.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Rewrite<'static> {
        Rewrite {
            bootstrap_servers: "a:1, b:2",
            topic: "t",
            dead_letter_topic: "t.dead",
            group: "g",
            sink_path: "/tmp/s.db",
            memory_bytes: 1 << 28,
            partitions: 6,
            membership: Membership::Consumer,
        }
    }

    #[test]
    fn only_the_named_fields_change() {
        let before: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
        let after: Value = serde_json::from_str(&rewrite(&changes()).unwrap()).unwrap();
        assert_eq!(
            after["spec"]["source"]["bootstrapServers"],
            json!(["a:1", "b:2"])
        );
        assert_eq!(after["spec"]["sinks"][0]["embedded"]["path"], "/tmp/s.db");
        assert_eq!(after["spec"]["resources"]["limits"]["memory"], "268435456");
        assert_eq!(after["spec"]["stages"], before["spec"]["stages"]);
        assert_eq!(
            after["spec"]["failure"]["maxAttempts"],
            before["spec"]["failure"]["maxAttempts"]
        );
    }

    #[test]
    fn a_real_broker_gets_the_classic_protocol() {
        let changes = Rewrite {
            membership: Membership::Classic,
            ..changes()
        };
        let after: Value = serde_json::from_str(&rewrite(&changes).unwrap()).unwrap();
        assert_eq!(after["spec"]["source"]["groupProtocol"], "Classic");
    }
}
