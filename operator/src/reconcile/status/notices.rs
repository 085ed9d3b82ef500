//! What is worth an event: each cause has one reason, and each change of the status tells it once.
//! Layer: core

use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta},
    jiff::Timestamp,
};

use super::conditions::drained::unfinished;
use crate::{
    form::{Derived, DrainOutcome, PipelineStatus},
    hash, names,
    subject::Subject,
};

/// Longest note that the API server takes, bytes.
const NOTE_MAX: usize = 1024;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub severity: Severity,
    /// One word for its cause.
    pub reason: String,
    /// What was done.
    pub action: &'static str,
    /// For people.
    pub note: String,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to worry about.
    Normal,
    /// Worth a look.
    Warning,
}

/// Everything that happened between two statuses.
#[must_use]
pub fn notices(before: Option<&PipelineStatus>, after: &PipelineStatus) -> Vec<Notice> {
    let nothing = PipelineStatus::default();
    let before = before.unwrap_or(&nothing);
    [
        derived(before.derived.as_ref(), after.derived.as_ref()),
        revision(before, after),
        scaled(before, after),
        oom(before, after),
        drained(before, after),
        turned(before, after, "Stalled", "True"),
        turned(before, after, "SourceReady", "False"),
        turned(before, after, "SinksReady", "False"),
        conflict(before, after),
        ready(before, after),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn normal(reason: &str, action: &'static str, note: String) -> Option<Notice> {
    let reason = reason.to_owned();
    Some(Notice {
        severity: Severity::Normal,
        reason,
        action,
        note,
    })
}

fn warning(reason: &str, action: &'static str, note: String) -> Option<Notice> {
    let reason = reason.to_owned();
    Some(Notice {
        severity: Severity::Warning,
        reason,
        action,
        note,
    })
}

fn derived(before: Option<&Derived>, after: Option<&Derived>) -> Option<Notice> {
    let after = after.filter(|after| before != Some(after))?;
    let shown = |derived: &Derived| {
        format!(
            "{} MiB: kafka {}, dispatcher {}, active {}, sinks {}, caches {}",
            derived.memory_limit_bytes >> 20,
            derived.kafka_bytes >> 20,
            derived.dispatcher_bytes >> 20,
            derived.active_bytes >> 20,
            derived.sinks_bytes >> 20,
            derived.caches_bytes >> 20
        )
    };
    let note = match before {
        Some(before) => format!("{}; before: {}", shown(after), shown(before)),
        None => shown(after),
    };
    normal("Planned", "Plan", note)
}

fn revision(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let (old, new) = (&before.revisions.current, after.revisions.current.as_ref()?);
    match old {
        Some(old) if old == new => None,
        Some(old) => normal(
            "RollingOut",
            "Apply",
            format!("revision {new} follows {old}"),
        ),
        None => normal("Created", "Apply", format!("revision {new}")),
    }
}

fn scaled(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let (from, to) = (before.desired_replicas, after.desired_replicas);
    let changed = from != to && before.revisions.current.is_some();
    changed.then(|| normal("Scaled", "Scale", format!("from {from} to {to} pods")))?
}

fn oom(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let oom = after
        .last_oom
        .as_ref()
        .filter(|oom| before.last_oom.as_ref() != Some(oom))?;
    let note = format!("pod {} was killed for its memory at {}", oom.pod, oom.at.0);
    warning("OOMKilled", "Observe", note)
}

fn drained(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let outcome = |status: &PipelineStatus| status.drain.as_ref().map(|drain| drain.outcome);
    let drain = after
        .drain
        .as_ref()
        .filter(|drain| outcome(before) != Some(drain.outcome))?;
    let pods = drain.pods.len();
    match drain.outcome {
        DrainOutcome::Complete => {
            let note = format!("{pods} pods finished and committed");
            normal("Drained", "Drain", note)
        }
        DrainOutcome::DeadlineExceeded => {
            warning("DrainDeadlineExceeded", "Drain", unfinished(drain))
        }
        DrainOutcome::Draining => None,
    }
}

fn condition<'a>(status: &'a PipelineStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// A condition that became bad, or is bad for another reason now.
fn turned(
    before: &PipelineStatus,
    after: &PipelineStatus,
    kind: &str,
    bad: &str,
) -> Option<Notice> {
    let now = condition(after, kind).filter(|now| now.status == bad)?;
    let same = |then: &Condition| then.status == bad && then.reason == now.reason;
    if condition(before, kind).is_some_and(same) {
        return None;
    }
    // what stalls is told once, by the condition that names the field
    let stalled = condition(after, "Stalled").is_some_and(|stalled| stalled.reason == now.reason);
    if kind != "Stalled" && stalled {
        return None;
    }
    warning(&now.reason, "Observe", now.message.clone())
}

/// A younger pipeline asks for the same group: nothing is wrong here, but somebody should know.
fn conflict(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let told = |status| {
        condition(status, "SourceReady")
            .filter(|found| found.status == "True" && found.reason == "ConsumerGroupConflict")
    };
    let now = told(after)?;
    if told(before).is_some() {
        return None;
    }
    warning(&now.reason, "Observe", now.message.clone())
}

fn ready(before: &PipelineStatus, after: &PipelineStatus) -> Option<Notice> {
    let is = |status| condition(status, "Ready").filter(|ready| ready.status == "True");
    let now = is(after)?;
    if is(before).is_some() {
        return None;
    }
    normal("Ready", "Observe", now.message.clone())
}

/// The event of a notice. Its name follows from what it tells and from what was said before, so
/// that the same notice, sent again after a crash, is the same event.
#[must_use]
pub fn event(
    subject: &Subject,
    notice: &Notice,
    before: Option<&PipelineStatus>,
    (now, instance): (Timestamp, &str),
) -> Event {
    let since = before.map(|before| {
        let times = before
            .conditions
            .iter()
            .map(|found| found.last_transition_time.0.to_string());
        times.collect::<Vec<_>>().join(",")
    });
    let key = hash::texts(&[
        &subject.uid,
        &subject.generation.to_string(),
        &notice.reason,
        &notice.note,
        &since.unwrap_or_default(),
    ]);
    let severity = match notice.severity {
        Severity::Normal => "Normal",
        Severity::Warning => "Warning",
    };
    let mut note = notice.note.clone();
    note.truncate(note.floor_char_boundary(NOTE_MAX));
    Event {
        action: Some(notice.action.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("{}.{key}", subject.name)),
            namespace: Some(subject.namespace.clone()),
            ..ObjectMeta::default()
        },
        note: Some(note),
        reason: Some(notice.reason.clone()),
        regarding: Some(subject.reference()),
        reporting_controller: Some(format!("penstock.dev/{}", names::CONTROLLER)),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(severity.to_owned()),
        ..Event::default()
    }
}
