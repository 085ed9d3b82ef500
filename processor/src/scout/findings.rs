//! What is made of the brokers' answers: facts, or the failure with its field.
//! Layer: core

use std::collections::BTreeSet;

use penstock_crds::{
    pipeline::{StageBody, ValidatedPipeline},
    scout::{FailureKind, ScoutFailure, ScoutReport, TopicReport},
};

use super::admin::{Configured, Described};
use crate::source::trouble::{Complaint, Kind};

/// The cause that leaves no other trace.
const LISTENER: &str = "perhaps the listener asks for spec.source.tls or spec.source.auth";

/// What the pipeline does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It reads it.
    Read,
    /// It writes to it.
    Write,
}

/// A topic that the object names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Where.
    pub(super) field: String,
    /// Its name.
    pub(super) name: String,
    /// What for.
    pub(super) r#use: Use,
}

/// Every topic that the object names, those of the source first.
pub(super) fn topics(pipeline: &ValidatedPipeline) -> Vec<Named> {
    let named = |field: String, name: &str, r#use| Named {
        field,
        name: name.to_owned(),
        r#use,
    };
    let read = pipeline.source.topics.iter().enumerate();
    let read = read.map(|(index, topic)| {
        let field = format!("spec.source.topics[{index}].name");
        named(field, topic.as_str(), Use::Read)
    });
    let stages = pipeline.stages.iter().enumerate();
    let produced = stages.filter_map(|(index, stage)| match &stage.body {
        StageBody::Produce(body) => {
            let field = format!("spec.stages[{index}].produce.topic");
            Some(named(field, body.topic.as_str(), Use::Write))
        }
        _ => None,
    });
    let dead = pipeline.failure.dead_letter_topic.iter().map(|topic| {
        let field = "spec.failure.deadLetterTopic".to_owned();
        named(field, topic.as_str(), Use::Write)
    });
    read.chain(produced).chain(dead).collect()
}

/// Why one topic could not be described.
pub(super) fn refused(topic: &Named, kind: Kind, text: &str) -> ScoutFailure {
    let name = &topic.name;
    let (kind, message) = match kind {
        Kind::UnknownTopic => (
            FailureKind::TopicNotFound,
            format!("the brokers know no topic {name:?}"),
        ),
        Kind::Forbidden => (
            FailureKind::NotAuthorized,
            format!("the brokers do not let this user see topic {name:?}"),
        ),
        _ => (FailureKind::Other, format!("topic {name:?}: {text}")),
    };
    ScoutFailure {
        field: topic.field.clone(),
        kind,
        message,
    }
}

/// What the pipeline must be allowed to do with a topic and is not.
pub(super) fn forbidden(topic: &Named, described: &Described) -> Option<ScoutFailure> {
    let (allowed, verb) = match topic.r#use {
        Use::Read => (described.may_read, "read"),
        Use::Write => (described.may_write, "write to"),
    };
    (!allowed).then(|| ScoutFailure {
        field: topic.field.clone(),
        kind: FailureKind::NotAuthorized,
        message: format!(
            "the brokers do not let this user {verb} topic {:?}",
            topic.name
        ),
    })
}

/// Why no broker answered: what the client complained about says whose fault it is.
pub(super) fn unanswered(complaint: Option<&Complaint>, what: &str) -> ScoutFailure {
    let failure = |field: &str, kind, message| ScoutFailure {
        field: field.to_owned(),
        kind,
        message,
    };
    let Some(Complaint { kind, text }) = complaint else {
        let message = format!("no broker answered {what} in time; {LISTENER}");
        let field = "spec.source.bootstrapServers";
        return failure(field, FailureKind::BrokerUnreachable, message);
    };
    match kind {
        Kind::Authentication => failure("spec.source.auth", FailureKind::AuthFailed, text.clone()),
        Kind::Tls => failure("spec.source.tls", FailureKind::AuthFailed, text.clone()),
        Kind::Forbidden => failure("spec.source.auth", FailureKind::NotAuthorized, text.clone()),
        // Whoever speaks plain text to a listener that does not is cut off without a word.
        Kind::Other => failure(
            "spec.source.bootstrapServers",
            FailureKind::BrokerUnreachable,
            format!("no broker answered {what}: {text}; {LISTENER}"),
        ),
        Kind::Unreachable | Kind::UnknownTopic | Kind::Fatal => failure(
            "spec.source.bootstrapServers",
            FailureKind::BrokerUnreachable,
            format!("no broker answered {what}: {text}"),
        ),
    }
}

/// The facts of the source's topics.
pub(super) fn facts(topics: &[(Named, Described, Configured)]) -> ScoutReport {
    let of_source = topics.iter().filter(|(named, ..)| named.r#use == Use::Read);
    let brokers: BTreeSet<_> = of_source
        .clone()
        .flat_map(|(_, described, _)| &described.brokers)
        .collect();
    let topics = of_source.map(|(named, described, configured)| TopicReport {
        name: named.name.clone(),
        id: described.id.clone(),
        partitions: described.partitions,
        largest_message_bytes: configured.max_message_bytes,
        compression_type: configured.compression.clone(),
    });
    let topics: Vec<_> = topics.collect();
    ScoutReport {
        brokers: u32::try_from(brokers.len()).unwrap_or(u32::MAX),
        partitions: topics.iter().map(|topic| topic.partitions).sum(),
        topics,
        ..ScoutReport::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = include_str!("../../../crds/examples/storefront.yaml");

    fn complaint(kind: Kind) -> Complaint {
        Complaint {
            kind,
            text: "in its words".to_owned(),
        }
    }

    #[test]
    fn every_complaint_points_at_a_field() {
        let about = |kind| {
            let failure = unanswered(Some(&complaint(kind)), "a question");
            (failure.field, failure.kind)
        };
        let auth = "spec.source.auth".to_owned();
        assert_eq!(
            about(Kind::Authentication),
            (auth.clone(), FailureKind::AuthFailed)
        );
        assert_eq!(about(Kind::Forbidden), (auth, FailureKind::NotAuthorized));
        let tls = "spec.source.tls".to_owned();
        assert_eq!(about(Kind::Tls), (tls, FailureKind::AuthFailed));
        let servers = "spec.source.bootstrapServers".to_owned();
        let unreachable = (servers, FailureKind::BrokerUnreachable);
        assert_eq!(about(Kind::Unreachable), unreachable);
        let silent = unanswered(None, "a question");
        assert_eq!((silent.field, silent.kind), unreachable);
    }

    #[test]
    fn topics_are_told_with_their_fields_and_rights() {
        let pipeline = penstock_crds::parse(OBJECT)
            .expect("a valid object")
            .pipeline;
        let topics = topics(&pipeline);
        assert_eq!(topics[0].field, "spec.source.topics[0].name");
        let described = Described {
            partitions: 3,
            brokers: [1, 2].into(),
            may_write: true,
            ..Described::default()
        };
        let failure = forbidden(&topics[0], &described).expect("it may not read");
        assert_eq!(failure.kind, FailureKind::NotAuthorized);
        let written = Named {
            r#use: Use::Write,
            ..topics[0].clone()
        };
        assert_eq!(forbidden(&written, &described), None);
        let report = facts(&[(topics[0].clone(), described, Configured::default())]);
        assert_eq!(
            (report.partitions, report.brokers, report.topics.len()),
            (3, 2, 1)
        );
        let missing = refused(&topics[0], Kind::UnknownTopic, "");
        assert_eq!(missing.kind, FailureKind::TopicNotFound);
    }
}
