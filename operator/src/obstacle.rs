//! What keeps a fleet as it is although the object asks for something else.
//! Layer: core

use crate::{findings, kinds::Kind};

/// Why the fleet is left as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    /// The object has faults that no schema can find.
    Invalid(Vec<String>),
    /// An object that is not ours has the name of a child.
    NameConflict {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Children of a deleted pipeline of the same name are still there.
    Former {
        /// The kind of one of them.
        kind: Kind,
    },
    /// An older pipeline consumes with this group.
    GroupTaken {
        /// Its namespace and name.
        by: String,
    },
    /// A scout is on its way; why it does not run, when that is known.
    Scouting(Option<String>),
    /// A scout found the source or a sink not usable.
    Unusable(findings::Fault),
    /// A topic was deleted and made anew: its offsets mean other records.
    TopicRecreated {
        /// Its name.
        topic: String,
    },
    /// The memory limit does not fit what the cluster needs.
    DoesNotFit {
        /// The field to change, from the object's root.
        field: String,
        /// The ledger and what would be legal.
        message: String,
    },
    /// The API server refused a child.
    Refused {
        /// What was being done.
        what: String,
        /// The API server's words.
        message: String,
    },
}

impl Obstacle {
    /// Whether nothing but a change of the object or of its surroundings helps.
    #[must_use]
    pub const fn stalls(&self) -> bool {
        match self {
            Self::Former { .. } | Self::Scouting(_) => false,
            Self::Invalid(_)
            | Self::NameConflict { .. }
            | Self::GroupTaken { .. }
            | Self::Unusable(_)
            | Self::TopicRecreated { .. }
            | Self::DoesNotFit { .. }
            | Self::Refused { .. } => true,
        }
    }

    /// One word for conditions and events.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Invalid(_) => "InvalidSpec",
            Self::NameConflict { .. } => "NameConflict",
            Self::Former { .. } => "FormerChildren",
            Self::GroupTaken { .. } => "ConsumerGroupConflict",
            Self::Scouting(_) => "Scouting",
            Self::Unusable(fault) => &fault.reason,
            Self::TopicRecreated { .. } => "TopicRecreated",
            Self::DoesNotFit { .. } => "MemoryLimitTooSmall",
            Self::Refused { .. } => "ApiRefused",
        }
    }

    /// For people: the field, the value, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Invalid(faults) => faults.join("; "),
            Self::NameConflict { kind, name } => format!(
                "a {kind} named {name} exists and is not this pipeline's; it is left alone: rename \
                 it or the pipeline"
            ),
            Self::Former { kind } => {
                format!("waiting for the {kind} of a deleted pipeline of the same name to go")
            }
            Self::GroupTaken { by } => format!(
                "spec.source.consumerGroup is used by {by} on the same brokers; two pipelines \
                 would split the partitions between them"
            ),
            Self::Scouting(None) => {
                "trying source and sinks before the fleet is changed".to_owned()
            }
            Self::Scouting(Some(trouble)) => {
                format!("the pod that tries source and sinks does not run: {trouble}")
            }
            Self::Unusable(fault) => match &fault.field {
                Some(field) => format!("{field}: {}", fault.message),
                None => fault.message.clone(),
            },
            Self::TopicRecreated { topic } => format!(
                "topic {topic} was deleted and made anew, so the committed offsets mean other \
                 records: raise spec.source.generation"
            ),
            Self::DoesNotFit { message, .. } => message.clone(),
            Self::Refused { what, message } => format!("{what}: {message}"),
        }
    }
}
