//! What the source thread looks at a few times a second: resumes, alarms, its client's health.
//! Layer: shell

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    facts::{Gear, PartitionFacts, Phase},
    intake::Held,
    ownership::{Owned, State},
    silence::Expectation,
    supply::Supply,
    trouble::{Complaint, Kind, Troubles},
    turn::{CLOSE, Turns},
};
use crate::{law::Rebuild, record::TopicPartition};

/// Between two attempts to build a client anew, and between two looks at its Secrets.
const REBUILD: Duration = Duration::from_secs(2);

impl Turns {
    /// What changes slowly: resumes, alarms, the client's health, the facts.
    pub(super) fn tick(&mut self, now: Instant) {
        let intake = &mut self.intake;
        for partition in self
            .gears
            .ripe(now, |partition| intake.fill_percent(partition))
        {
            self.resume(partition);
        }
        for partition in self.silent(now) {
            tracing::warn!(
                ?partition,
                "a partition with lag gives no record: forwarded and read again"
            );
            self.facts.update(|facts| facts.faults.silent += 1);
            self.forward(partition);
            self.read_again(partition, None);
        }
        if let Some((limits, rebuild)) = self.control.resized() {
            self.settings.limits = limits;
            self.too_large |= rebuild == Rebuild::Now;
        }
        if now >= self.next_rebuild
            && let Some(why) = self.outdated(now)
        {
            self.next_rebuild = now + REBUILD;
            self.rebuild(why);
        }
        self.publish(now);
    }

    fn silent(&mut self, now: Instant) -> Vec<TopicPartition> {
        let idle = self.supply.is_empty() && self.draining.is_none() && self.assigning.is_none();
        let mut silent = Vec::new();
        for (partition, owned) in self.ownership.iter() {
            let expected = idle && owned.state == State::Reading && self.lag(partition, owned) > 0;
            let expectation = if expected {
                Expectation::Records
            } else {
                Expectation::Silence
            };
            let seen = self.ownership.seen(partition);
            if self.silence.alarmed(partition, seen, expectation, now) {
                silent.push(partition);
            }
        }
        silent
    }

    /// Notes what client or brokers complain about; each kind is logged once until things go well.
    pub(super) fn hear(&mut self, complaint: Complaint, now: Instant) {
        self.fatal |= complaint.kind == Kind::Fatal;
        self.facts.update(|facts| facts.faults.client += 1);
        let (kind, text) = (complaint.kind, complaint.text.clone());
        if self.troubles.hear(complaint, now) {
            tracing::warn!(?kind, text, "kafka client");
        }
    }

    /// A broker did as it was asked.
    pub(super) fn things_go_well(&mut self) {
        if self.troubles.over() {
            tracing::info!("the brokers do as they are asked again");
        }
    }

    /// Why the client has to be built anew. Secrets are looked at only while the brokers refuse
    /// what they held: until then connections live on with what they were made with.
    fn outdated(&self, now: Instant) -> Option<&'static str> {
        if self.fatal || self.client.is_fatal() {
            return Some("it met a fatal error");
        }
        if self.too_large {
            return Some("it is too large for the new memory limit");
        }
        let trouble = self.troubles.current(now)?;
        if !matches!(trouble.kind, Kind::Authentication | Kind::Tls) {
            return None;
        }
        let identity = self.settings.security.read().ok()?;
        (identity != *self.client.identity()).then_some("its secrets have changed")
    }

    /// A client that met a fatal error never works again, and one that is too large for the pod must
    /// not go on: everything is lost, a new one joins.
    fn rebuild(&mut self, why: &str) {
        let fresh = match Client::connect(&self.settings) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(%error, "cannot build a new client yet");
                return;
            }
        };
        tracing::warn!(why, "the kafka client is built anew");
        let all = self.ownership.all();
        if !all.is_empty() {
            self.lose(&all);
        }
        self.draining = None;
        self.assigning = None;
        self.supply = Supply::new(fresh.batch(), self.settings.max_message_bytes);
        let old = std::mem::replace(&mut self.client, fresh);
        let closed = old.close(Instant::now() + CLOSE);
        tracing::info!(?closed, "the old client is closed");
        self.commits.forget();
        self.fatal = false;
        self.too_large = false;
        self.troubles = Troubles::default();
        let limits = self.settings.limits;
        self.facts.update(|facts| {
            facts.faults.rebuilds += 1;
            facts.limits = limits;
            facts.phase = Phase::Joining;
        });
    }

    fn publish(&self, now: Instant) {
        let held = self.gears.held();
        let partitions = self
            .ownership
            .iter()
            .map(|(partition, owned)| PartitionFacts {
                partition,
                epoch: owned.epoch,
                gear: gear(partition, owned, held),
                position: owned.next,
                end: self.client.end(partition),
            });
        let partitions = partitions.collect();
        let trouble = self.troubles.current(now);
        let trouble = trouble.map(|complaint| Arc::from(complaint.text.as_str()));
        self.facts.update(|facts| {
            facts.partitions = partitions;
            facts.pauses = self.gears.pauses();
            facts.trouble = trouble;
            facts.last_turn = now;
        });
    }
}

fn gear(partition: TopicPartition, owned: &Owned, held: Option<Held>) -> Gear {
    match (owned.state, held) {
        (State::Paused, _) => Gear::Paused,
        (State::Revoking, _) => Gear::Draining,
        (State::Reading, Some(held)) if held.partition == partition => Gear::Held(held),
        (State::Reading, _) => Gear::Open,
    }
}
