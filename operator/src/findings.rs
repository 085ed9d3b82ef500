//! What a scout found out, read from the end of its pod.
//! Layer: core

use penstock_crds::scout::{FailureKind, ScoutFailure, ScoutReport};
use serde::{Deserialize, Serialize};

/// What is known of the cluster that a connection leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterFacts {
    /// `source.generation` of the settings that the scout tried.
    pub generation: u64,
    /// Brokers.
    pub brokers: Option<u32>,
    /// Partitions of all topics.
    pub partitions: Option<u32>,
    /// Topics of the source; fewer when a scout had no room for them.
    pub topics: Vec<TopicFacts>,
    /// What works but weakens a promise.
    pub weaknesses: Vec<String>,
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicFacts {
    /// Its name.
    pub name: String,
    /// Its identity: a new topic of the same name has another.
    pub id: Option<String>,
    /// Its partitions.
    pub partitions: u32,
}

impl ClusterFacts {
    /// A topic that is another one than `before`, under the same name and generation.
    #[must_use]
    pub fn recreated<'a>(&'a self, before: &Self) -> Option<&'a TopicFacts> {
        if self.generation != before.generation {
            return None;
        }
        self.topics.iter().find(|topic| {
            let same = before.topics.iter().find(|other| other.name == topic.name);
            let ids = same
                .and_then(|other| other.id.as_ref())
                .zip(topic.id.as_ref());
            ids.is_some_and(|(before, now)| before != now)
        })
    }
}

/// What a scout says at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Source and sinks can be used.
    Usable(ClusterFacts),
    /// One of them cannot.
    Unusable(Fault),
}

/// Why a connection cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose fault it is.
    pub side: Side,
    /// One word for conditions and events.
    pub reason: String,
    /// Path of the field to look at, when it is known.
    pub field: Option<String>,
    /// What happened.
    pub message: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The source's.
    Source,
    /// A sink's.
    Sink,
    /// Nobody knows: the scout itself did not come to an answer.
    Unknown,
}

/// Reads the end of a scout: its report, or why there is none.
#[must_use]
pub fn read(code: Option<i32>, message: &str, generation: u64) -> Finding {
    match (code, ScoutReport::parse(message)) {
        (Some(0), Ok(report)) if report.is_usable() => Finding::Usable(facts(report, generation)),
        (
            _,
            Ok(ScoutReport {
                failure: Some(failure),
                ..
            }),
        ) => Finding::Unusable(fault(failure)),
        (code, _) => Finding::Unusable(no_report(code, message)),
    }
}

fn no_report(code: Option<i32>, message: &str) -> Fault {
    let how = code.map_or_else(
        || "never ran".to_owned(),
        |code| format!("ended with {code}"),
    );
    Fault {
        side: Side::Unknown,
        reason: "ScoutFailed".to_owned(),
        field: None,
        message: format!("the pod that tries the connection {how}: {message}"),
    }
}

fn facts(report: ScoutReport, generation: u64) -> ClusterFacts {
    let sinks = report.sinks.into_iter();
    let weaknesses = sinks.flat_map(|sink| sink.weaknesses);
    let topics = report.topics.into_iter().map(|topic| TopicFacts {
        name: topic.name,
        id: topic.id,
        partitions: topic.partitions,
    });
    ClusterFacts {
        generation,
        brokers: Some(report.brokers).filter(|brokers| *brokers > 0),
        partitions: Some(report.partitions).filter(|partitions| *partitions > 0),
        topics: topics.collect(),
        weaknesses: weaknesses
            .map(|weak| format!("{}: {}", weak.field, weak.message))
            .collect(),
    }
}

fn fault(failure: ScoutFailure) -> Fault {
    let (side, reason) = meaning(failure.kind);
    let side = match (side, failure.field.as_str()) {
        (Side::Unknown, field) if field.starts_with("spec.source") => Side::Source,
        (Side::Unknown, field) if field.starts_with("spec.sinks") => Side::Sink,
        (side, _) => side,
    };
    Fault {
        side,
        reason: reason.to_owned(),
        field: Some(failure.field).filter(|field| !field.is_empty()),
        message: failure.message,
    }
}

/// Whose fault a kind of failure is, and its word in conditions; `Unknown` is told by the field.
const fn meaning(kind: FailureKind) -> (Side, &'static str) {
    match kind {
        FailureKind::SettingsInvalid => (Side::Unknown, "InvalidSpec"),
        FailureKind::SecretInvalid => (Side::Unknown, "SecretInvalid"),
        FailureKind::BrokerUnreachable => (Side::Source, "BrokerUnreachable"),
        FailureKind::AuthFailed => (Side::Source, "AuthFailed"),
        FailureKind::TopicNotFound => (Side::Source, "TopicNotFound"),
        FailureKind::NotAuthorized => (Side::Source, "NotAuthorized"),
        FailureKind::SinkUnreachable => (Side::Sink, "SinkUnreachable"),
        FailureKind::SinkAuthFailed => (Side::Sink, "SinkAuthFailed"),
        FailureKind::SinkUnsuitable => (Side::Sink, "SinkUnsuitable"),
        FailureKind::MemoryTooSmall => (Side::Unknown, "MemoryLimitTooSmall"),
        FailureKind::Other => (Side::Unknown, "ScoutFailed"),
    }
}
