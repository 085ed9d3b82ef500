//! Connects to the brokers, proves who it is, and asks for the facts; joins no group.
//! Layer: shell

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use penstock_crds::{
    pipeline::ValidatedPipeline,
    scout::{FailureKind, ScoutFailure, ScoutReport},
};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

use super::{
    admin::{self, Configured, Described},
    findings::{self, Named, Use},
};
use crate::{
    run::bootstrap,
    source::{
        events::{self, Event, Events},
        security::Security,
        trouble::{Complaint, Kind, Troubles},
    },
};

/// Names, networks and brokers of a cluster that comes up get so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client of the scout, with what it complained about.
pub(super) struct Visitor {
    pub(super) consumer: Arc<BaseConsumer<Events>>,
    troubles: Troubles,
}

/// Asks for everything that can be known before a processor starts.
pub(super) fn visit(
    pipeline: &ValidatedPipeline,
    secrets: &Path,
) -> Result<ScoutReport, ScoutFailure> {
    let deadline = Instant::now() + PATIENCE;
    let mut visitor = Visitor::connect(pipeline, secrets)?;
    let topics = visitor.topics(&findings::topics(pipeline), deadline)?;
    visitor.group(pipeline, &topics, deadline)?;
    Ok(findings::facts(&topics))
}

impl Visitor {
    /// A client with as little memory as it can do with. Connects when it is asked for something.
    pub(super) fn connect(
        pipeline: &ValidatedPipeline,
        secrets: &Path,
    ) -> Result<Self, ScoutFailure> {
        let identity = Security::of(&pipeline.source, secrets).read();
        let identity = identity.map_err(|error| ScoutFailure {
            field: error.field.to_owned(),
            kind: FailureKind::SecretInvalid,
            message: error.to_string(),
        })?;
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Emerg)
            .set("bootstrap.servers", bootstrap(pipeline))
            .set("group.id", pipeline.source.consumer_group.as_str())
            .set("client.id", "penstock-scout")
            .set("enable.auto.commit", "false")
            .set("socket.keepalive.enable", "true");
        for (name, value) in identity.properties() {
            config.set(name, value);
        }
        let consumer = config.create_with_context(Events::default());
        let consumer = consumer.map_err(|error| ScoutFailure {
            // All that the client may refuse are certificates and keys.
            field: "spec.source.tls".to_owned(),
            kind: FailureKind::SecretInvalid,
            message: error.to_string(),
        })?;
        Ok(Self {
            consumer: Arc::new(consumer),
            troubles: Troubles::default(),
        })
    }

    /// Describes topics; the first that cannot be used is the failure.
    fn topics(
        &mut self,
        named: &[Named],
        deadline: Instant,
    ) -> Result<Vec<(Named, Described, Configured)>, ScoutFailure> {
        // One topic may be written to at several places; the client refuses to ask twice.
        let names: BTreeSet<&str> = named.iter().map(|topic| topic.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let consumer = Arc::clone(&self.consumer);
        let described = admin::describe(&consumer, &names, deadline, &mut || self.is_refused());
        let described = described.map_err(|_| self.unanswered("for its topics"))?;
        // Who may not know what a topic is set to may use it all the same.
        let configured = admin::configured(&consumer, &names, deadline);
        let configured = configured.unwrap_or_else(|_| vec![Configured::default(); names.len()]);
        let answers = described.into_iter().zip(configured);
        let answers: BTreeMap<_, _> = names.into_iter().zip(answers).collect();
        let mut topics = Vec::with_capacity(named.len());
        for named in named {
            let (described, configured) = answers[named.name.as_str()].clone();
            let described = described
                .map_err(|code| findings::refused(named, events::kind(code), &code.to_string()))?;
            if let Some(failure) = findings::forbidden(named, &described) {
                return Err(failure);
            }
            topics.push((named.clone(), described, configured));
        }
        Ok(topics)
    }

    /// Asks for a committed offset: who may not see the group cannot work in it.
    fn group(
        &mut self,
        pipeline: &ValidatedPipeline,
        topics: &[(Named, Described, Configured)],
        deadline: Instant,
    ) -> Result<(), ScoutFailure> {
        let mut list = TopicPartitionList::new();
        let read = topics.iter().find(|(named, ..)| named.r#use == Use::Read);
        let Some((named, ..)) = read else {
            return Ok(());
        };
        list.add_partition(&named.name, 0);
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = left.max(Duration::from_secs(1));
        let Err(error) = self.consumer.committed_offsets(list, patience) else {
            return Ok(());
        };
        let code = error.rdkafka_error_code();
        if code.map(events::kind) != Some(Kind::Forbidden) {
            return Err(self.unanswered("for the group's offsets"));
        }
        let group = &pipeline.source.consumer_group;
        Err(ScoutFailure {
            field: "spec.source.consumerGroup".to_owned(),
            kind: FailureKind::NotAuthorized,
            message: format!("the brokers do not let this user see group \"{group}\""),
        })
    }

    /// Serves the client's events; whether it was refused, so that waiting on would be in vain.
    fn is_refused(&mut self) -> bool {
        self.listen();
        let trouble = self.troubles.current(Instant::now());
        trouble.is_some_and(|trouble| trouble.kind >= Kind::Tls)
    }

    /// Takes in what the client complains about.
    pub(super) fn listen(&mut self) -> Option<&Complaint> {
        let now = Instant::now();
        // One poll serves one event; errors come through the context, too.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        for event in self.consumer.context().take() {
            if let Event::Error(complaint) = event {
                self.troubles.hear(complaint, now);
            }
        }
        self.troubles.current(now)
    }

    fn unanswered(&mut self, what: &str) -> ScoutFailure {
        findings::unanswered(self.listen(), what)
    }

    /// An answer came.
    pub(super) fn things_go_well(&mut self) {
        self.troubles.over();
    }
}

/// The code of a failed request in words.
pub(super) fn words(code: Option<RDKafkaErrorCode>) -> String {
    code.map_or_else(|| "no answer".to_owned(), |code| code.to_string())
}
