//! What a scout found out, read from the end of its pod.
//! Layer: core

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of the cluster that a connection leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterFacts {
    /// `source.generation` of the settings that the scout tried.
    pub generation: u64,
    /// Brokers.
    pub brokers: Option<u32>,
    /// Topics of the source.
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
    /// The largest message that it takes, bytes.
    pub max_message_bytes: Option<u64>,
}

impl ClusterFacts {
    /// Partitions of all topics.
    #[must_use]
    pub fn partitions(&self) -> Option<u32> {
        let sum = self.topics.iter().map(|topic| topic.partitions).sum();
        (sum > 0).then_some(sum)
    }

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
    let report: Option<Report> = serde_json::from_str(message).ok();
    match (code, report) {
        (Some(0), Some(report)) => Finding::Usable(report.facts(generation)),
        (_, Some(report)) => Finding::Unusable(report.fault()),
        (code, None) => Finding::Unusable(no_report(code, message)),
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

/// The report's form, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    brokers: Option<u32>,
    topics: Vec<TopicFacts>,
    sinks: Vec<Value>,
    faults: Vec<ReportedFault>,
    weaknesses: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReportedFault {
    field: String,
    reason: String,
    message: String,
}

impl Report {
    fn facts(self, generation: u64) -> ClusterFacts {
        ClusterFacts {
            generation,
            brokers: self.brokers,
            topics: self.topics,
            weaknesses: self.weaknesses,
        }
    }

    fn fault(self) -> Fault {
        let first = self.faults.into_iter().next().unwrap_or_default();
        let side = match first.field.as_str() {
            field if field.starts_with("spec.source") => Side::Source,
            field if field.starts_with("spec.sinks") => Side::Sink,
            _ => Side::Unknown,
        };
        Fault {
            side,
            reason: first.reason,
            field: Some(first.field).filter(|field| !field.is_empty()),
            message: first.message,
        }
    }
}
