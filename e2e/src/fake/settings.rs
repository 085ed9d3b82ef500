//! The few fields of a pipeline that the stand-in obeys.
//! Layer: shell

use rdkafka::config::ClientConfig;
use serde::Deserialize;

/// A pipeline object.
#[derive(Deserialize)]
pub(super) struct Settings {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    source: Source,
    stages: Vec<Stage>,
    #[serde(default)]
    sinks: Vec<Sink>,
    failure: Failure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    bootstrap_servers: Vec<String>,
    topics: Vec<Topic>,
    consumer_group: String,
    generation: u64,
    group_protocol: String,
}

#[derive(Deserialize)]
struct Topic {
    name: String,
}

#[derive(Deserialize)]
struct Stage {
    produce: Option<Produce>,
}

#[derive(Deserialize)]
struct Produce {
    topic: String,
}

#[derive(Deserialize)]
struct Sink {
    embedded: Embedded,
}

#[derive(Deserialize)]
struct Embedded {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    dead_letter_topic: String,
}

impl Settings {
    /// What to subscribe to.
    pub(super) fn topics(&self) -> Vec<&str> {
        self.spec
            .source
            .topics
            .iter()
            .map(|topic| topic.name.as_str())
            .collect()
    }

    /// Topic of the `produce` stage.
    pub(super) fn output(&self) -> Option<&str> {
        self.spec
            .stages
            .iter()
            .find_map(|stage| stage.produce.as_ref())
            .map(|p| p.topic.as_str())
    }

    /// File of the embedded sink.
    pub(super) fn store(&self) -> Option<&str> {
        self.spec
            .sinks
            .first()
            .map(|sink| sink.embedded.path.as_str())
    }

    /// Where poison goes.
    pub(super) fn dead_letters(&self) -> &str {
        &self.spec.failure.dead_letter_topic
    }

    /// Written into the header `penstock-generation`.
    pub(super) fn generation(&self) -> u64 {
        self.spec.source.generation
    }

    /// `host:port,…`.
    pub(super) fn bootstrap(&self) -> String {
        self.spec.source.bootstrap_servers.join(",")
    }

    /// The consumer's configuration.
    pub(super) fn consumer<'a>(&self, config: &'a mut ClientConfig) -> &'a ClientConfig {
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", &self.spec.source.consumer_group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", "16384");
        if self.spec.source.group_protocol == "Consumer" {
            return config.set("group.protocol", "consumer");
        }
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "3000")
            .set("heartbeat.interval.ms", "500")
    }
}
