//! What was seen of the cluster before anything is decided.
//! Layer: core

use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    jiff::Timestamp,
};
use penstock_crds::event_pipeline::{API_VERSION, KIND};
use serde_json::Value;

use crate::{kinds::Kind, names, readings::FleetReading, subject::Subject};

/// Everything that a reconcile decides by.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// Objects under the names of our children.
    pub children: Vec<Existing>,
    /// Names under which there was nothing when they were last read, which is some time ago.
    pub believed_absent: Vec<(Kind, String)>,
    /// Pods of the fleet.
    pub pods: Vec<PodFacts>,
    /// Pods that try a connection, or tried it.
    pub scouts: Vec<ScoutFacts>,
    /// What the fleet's pods said last.
    pub reading: FleetReading,
    /// Other pipelines that consume with the same group from the same brokers.
    pub rivals: Vec<Rival>,
}

impl Observed {
    /// The object under that name.
    #[must_use]
    pub fn child(&self, kind: Kind, name: &str) -> Option<&Existing> {
        self.children
            .iter()
            .find(|child| child.kind == kind && child.name == name)
    }

    /// Whether nobody has looked at this name for this reconcile.
    #[must_use]
    pub fn is_believed_absent(&self, kind: Kind, name: &str) -> bool {
        let mut believed = self.believed_absent.iter();
        believed.any(|(believed, absent)| *believed == kind && absent == name)
    }
}

/// An object under the name of a child.
#[derive(Clone, Debug, PartialEq)]
pub struct Existing {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Its version.
    pub version: String,
    /// Whose it is.
    pub owner: Owner,
    /// All of it.
    pub body: Value,
}

impl Existing {
    /// An annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.body["metadata"]["annotations"][key].as_str()
    }
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This pipeline's.
    Ours,
    /// A deleted pipeline's of the same name; the API server is about to delete it.
    Former,
    /// Somebody else's: never touched.
    Foreign,
}

impl Owner {
    /// Judged by the controlling owner reference alone, never by a name or a label.
    #[must_use]
    pub fn of(references: Option<&[OwnerReference]>, subject: &Subject) -> Self {
        let mut references = references.unwrap_or_default().iter();
        match references.find(|reference| reference.controller == Some(true)) {
            Some(reference) if reference.uid == subject.uid => Self::Ours,
            Some(reference)
                if (reference.kind.as_str(), reference.api_version.as_str())
                    == (KIND, API_VERSION)
                    && reference.name == subject.name =>
            {
                Self::Former
            }
            _ => Self::Foreign,
        }
    }
}

/// Another pipeline of the same consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Namespace and name, with a slash.
    pub name: String,
    /// Whether it was there first.
    pub precedence: Precedence,
}

/// Which of two pipelines was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The other one: it keeps the group.
    Elder,
    /// This one.
    Younger,
}

/// A pod of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its name.
    pub name: String,
    /// The revision that it runs.
    pub revision: String,
    /// The state last told to it.
    pub told: Option<String>,
    /// Whether it is going.
    pub leaving: bool,
    /// Whether its container has ever run.
    pub started: bool,
    /// When its container was last killed for its memory, and after how many restarts.
    pub oom: Option<(Timestamp, i32)>,
    /// Why it does not run, in the kubelet's words.
    pub trouble: Option<String>,
}

impl PodFacts {
    /// The facts of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let container = container(pod);
        let state = container.and_then(|container| container.state.as_ref());
        let running = state.is_some_and(|state| state.running.is_some());
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            revision: label(metadata, names::REVISION),
            told: annotation(metadata, names::STATE).map(str::to_owned),
            leaving: metadata.deletion_timestamp.is_some(),
            started: running || container.is_some_and(|container| container.restart_count > 0),
            oom: container.and_then(oom),
            trouble: container.and_then(trouble).or_else(|| unschedulable(pod)),
        }
    }
}

/// A pod that tries a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoutFacts {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Hash of the connection that it tries.
    pub connection: String,
    /// How often this connection was tried, from 1.
    pub attempt: u32,
    /// How far it is.
    pub progress: Progress,
}

/// How far a scout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not at its end; why it does not run, when the kubelet says so.
    Waiting(Option<String>),
    /// At its end.
    Ended {
        /// When.
        at: Timestamp,
        /// Exit code of the container; `None` when it never ran.
        code: Option<i32>,
        /// Its termination message, or why it was ended.
        message: String,
    },
}

impl ScoutFacts {
    /// The facts of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            connection: annotation(metadata, names::TRIES)
                .unwrap_or_default()
                .to_owned(),
            attempt: annotation(metadata, names::ATTEMPT)
                .and_then(|attempt| attempt.parse().ok())
                .unwrap_or(1),
            progress: Progress::of(pod),
        }
    }
}

impl Progress {
    fn of(pod: &Pod) -> Self {
        let container = container(pod);
        let state = container.and_then(|container| container.state.as_ref());
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
            let at = ended
                .finished_at
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |at| at.0);
            let message = ended.message.clone().or_else(|| ended.reason.clone());
            let message = message.unwrap_or_default();
            return Self::Ended {
                at,
                code: Some(ended.exit_code),
                message,
            };
        }
        let status = pod.status.as_ref();
        let trouble = container.and_then(trouble).or_else(|| unschedulable(pod));
        if status.and_then(|status| status.phase.as_deref()) == Some("Failed") {
            let reason = status.and_then(|status| status.reason.clone());
            let message = trouble
                .or(reason)
                .unwrap_or_else(|| "ended before it ran".to_owned());
            let at = pod.metadata.creation_timestamp.as_ref();
            let at = at.map_or(Timestamp::UNIX_EPOCH, |at| at.0);
            return Self::Ended {
                at,
                code: None,
                message,
            };
        }
        Self::Waiting(trouble)
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses
        .iter()
        .find(|status| status.name == names::CONTAINER)
}

/// A kill is told by the last state, and by the present one until the container starts again.
fn oom(container: &ContainerStatus) -> Option<(Timestamp, i32)> {
    let states = [&container.state, &container.last_state];
    let ended = states.into_iter().flatten().find_map(|state| {
        let ended = state.terminated.as_ref();
        ended.filter(|ended| ended.reason.as_deref() == Some("OOMKilled"))
    })?;
    let at = ended
        .finished_at
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |at| at.0);
    Some((at, container.restart_count))
}

/// Why a container does not run; creating one is no trouble.
fn trouble(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if reason == "ContainerCreating" || reason == "PodInitializing" {
        return None;
    }
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let last = last
        .and_then(|ended| ended.message.as_deref())
        .map(last_line);
    let words = last.or(waiting.message.as_deref()).unwrap_or_default();
    Some(format!("{reason}: {words}"))
}

fn last_line(text: &str) -> &str {
    text.trim_end().rsplit('\n').next().unwrap_or_default()
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|found| found.type_ == "PodScheduled" && found.status == "False")?;
    Some(format!(
        "Unschedulable: {}",
        found.message.as_deref().unwrap_or_default()
    ))
}

fn label(metadata: &ObjectMeta, key: &str) -> String {
    let labels = metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(key))
        .cloned()
        .unwrap_or_default()
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
