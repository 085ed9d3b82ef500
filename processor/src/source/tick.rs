//! What the source thread looks at a few times a second: resumes, alarms, its client's health.
//! Layer: shell

use std::time::Instant;

use super::{
    client::Client,
    facts::{Gear, PartitionFacts, Phase},
    intake::Held,
    ownership::{Owned, State},
    silence::Expectation,
    supply::Supply,
    turn::{CLOSE, Turns},
};
use crate::{law::Rebuild, record::TopicPartition};

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
        let resized = self.control.resized();
        if let Some((limits, _)) = resized {
            self.settings.limits = limits;
        }
        if self.fatal || self.client.is_fatal() {
            tracing::error!("the kafka client met a fatal error and is built anew");
            self.rebuild();
        } else if resized.is_some_and(|(_, rebuild)| rebuild == Rebuild::Now) {
            tracing::warn!("the kafka client is built anew for a smaller memory limit");
            self.rebuild();
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

    /// A client that met a fatal error never works again, and one that is too large for the pod must
    /// not go on: everything is lost, a new one joins.
    fn rebuild(&mut self) {
        let fresh = match Client::connect(&self.settings) {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(%error, "cannot build a new client yet");
                return;
            }
        };
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
        self.facts.update(|facts| {
            facts.partitions = partitions;
            facts.pauses = self.gears.pauses();
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
