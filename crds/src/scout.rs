//! What a scout reports: whether source and sinks are usable, and the facts that it read.
//! Layer: core
//!
//! The report travels as a container's termination message, of which Kubernetes keeps 4096 bytes.

use serde::{Deserialize, Serialize};

/// Longest report, bytes of JSON.
pub const MAX_BYTES: usize = 4096;
/// Longest text of a report, characters.
const MAX_TEXT: usize = 256;
/// Exit code of a scout that found source or sink unusable.
pub const EXIT_UNUSABLE: i32 = 3;

/// What a scout found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScoutReport {
    /// Why the settings cannot be used; `None` when they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ScoutFailure>,
    /// Partitions of all topics together.
    pub partitions: u32,
    /// Brokers that lead them.
    pub brokers: u32,
    /// The topics of the source.
    pub topics: Vec<TopicReport>,
    /// The declared sinks.
    pub sinks: Vec<SinkReport>,
    /// Topics, sinks and weaknesses that had no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u32,
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoutFailure {
    /// The field of the object, such as `spec.source.auth`.
    pub field: String,
    /// What it is about.
    pub kind: FailureKind,
    /// A lower-case fragment for the user; no payload and no credential.
    pub message: String,
}

/// What a failure is about. An unknown word of a later version reads as `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The settings do not validate.
    SettingsInvalid,
    /// A Secret lacks a key, or its content is unusable.
    SecretInvalid,
    /// No broker answers.
    BrokerUnreachable,
    /// The brokers refuse the credentials, or TLS fails.
    AuthFailed,
    /// A topic is not there.
    TopicNotFound,
    /// The credentials do not allow what the pipeline needs.
    NotAuthorized,
    /// A sink does not answer.
    SinkUnreachable,
    /// A sink refuses the credentials, or TLS fails.
    SinkAuthFailed,
    /// A sink cannot do what the pipeline needs.
    SinkUnsuitable,
    /// The facts make the memory limit impossible.
    MemoryTooSmall,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// One topic of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicReport {
    /// Its name.
    pub name: String,
    /// Its id: a recreated topic has another one. `None` when the brokers do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its partitions.
    pub partitions: u32,
    /// `max.message.bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_message_bytes: Option<u64>,
    /// `compression.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_type: Option<String>,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SinkReport {
    /// Its name in the object.
    pub name: String,
    /// Reachable, authenticated, and able to do what the pipeline needs.
    pub usable: bool,
    /// Settings of it that weaken a promise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weaknesses: Vec<Weakness>,
}

/// A setting that weakens a promise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Weakness {
    /// The field of the object, such as `spec.sinks[1]`.
    pub field: String,
    /// What is weak, and what would not be; a lower-case fragment.
    pub message: String,
}

impl ScoutReport {
    /// Whether source and every sink are usable.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.failure.is_none() && self.sinks.iter().all(|sink| sink.usable)
    }

    /// One line of JSON, at most [`MAX_BYTES`]. Long texts are cut, then what says least is left
    /// out and counted: weaknesses, topics, usable sinks.
    ///
    /// # Panics
    /// Never: every part of the report has a JSON form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut report = self.clone();
        report.cut();
        loop {
            let text =
                serde_json::to_string(&report).expect("a report has text keys and no floats");
            if text.len() <= MAX_BYTES || !report.leave_one_out() {
                return text;
            }
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// The text is no report.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.trim())
    }

    fn cut(&mut self) {
        if let Some(failure) = &mut self.failure {
            shorten(&mut failure.field);
            shorten(&mut failure.message);
        }
        for topic in &mut self.topics {
            shorten(&mut topic.name);
            topic.id.iter_mut().for_each(shorten);
            topic.compression_type.iter_mut().for_each(shorten);
        }
        for sink in &mut self.sinks {
            shorten(&mut sink.name);
            for weakness in &mut sink.weaknesses {
                shorten(&mut weakness.field);
                shorten(&mut weakness.message);
            }
        }
    }

    /// Takes the least telling entry out; false when nothing is left to take.
    fn leave_one_out(&mut self) -> bool {
        let weaknesses = self.sinks.iter_mut().rev().map(|sink| &mut sink.weaknesses);
        let weakness = weaknesses
            .max_by_key(|own| own.len())
            .filter(|own| own.len() > 1)
            .and_then(Vec::pop);
        let left_out =
            weakness.is_some() || self.topics.pop().is_some() || self.sinks.pop().is_some();
        self.left_out += u32::from(left_out);
        left_out
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
