//! Whether source, sinks and memory can be used; `None` keeps what was said before.
//! Layer: core

use super::{Judgement, Status, Word};
use crate::{findings::Side, observed::Precedence, obstacle::Obstacle, reconcile::plan::Fleet};

impl Judgement<'_> {
    pub(super) fn source(&self) -> Option<Word> {
        if let Some(obstacle) = self.situation.obstacle() {
            return match obstacle {
                Obstacle::Unusable(fault) if fault.side == Side::Source => {
                    Some(Word::of(Status::False, obstacle))
                }
                Obstacle::Unusable(fault) if fault.side == Side::Unknown => {
                    Some(Word::of(Status::Unknown, obstacle))
                }
                Obstacle::TopicRecreated { .. } | Obstacle::GroupTaken { .. } => {
                    Some(Word::of(Status::False, obstacle))
                }
                Obstacle::Scouting(_) => Some(Word::of(Status::Unknown, obstacle)),
                Obstacle::Unusable(_)
                | Obstacle::Invalid(_)
                | Obstacle::NameConflict { .. }
                | Obstacle::Former { .. }
                | Obstacle::DoesNotFit { .. }
                | Obstacle::Refused { .. } => None,
            };
        }
        self.fleet().map(|fleet| self.source_of(fleet))
    }

    pub(super) fn source_of(&self, fleet: &Fleet) -> Word {
        let observed = self.situation.observed;
        let younger = observed
            .rivals
            .iter()
            .find(|rival| rival.precedence == Precedence::Younger);
        if let Some(rival) = younger {
            let message = format!(
                "spec.source.consumerGroup is also asked for by {}, which is not started",
                rival.name
            );
            return Word::new(Status::True, "ConsumerGroupConflict", message);
        }
        let known = fleet.facts.partitions.unwrap_or_default();
        let held = observed.reading.partitions();
        if held > known && known > 0 {
            let message = format!(
                "the topics have {held} partitions now and had {known} when the plan was made: \
                 drain first if order per key matters, then change spec.rollout.restartToken"
            );
            return Word::new(Status::True, "PartitionCountChanged", message);
        }
        let brokers = fleet.facts.brokers.unwrap_or_default();
        Word::new(
            Status::True,
            "Proven",
            format!("{known} partitions on {brokers} brokers"),
        )
    }

    pub(super) fn sinks(&self) -> Option<Word> {
        if let Some(obstacle) = self.situation.obstacle() {
            return match obstacle {
                Obstacle::Unusable(fault) if fault.side == Side::Sink => {
                    Some(Word::of(Status::False, obstacle))
                }
                Obstacle::Scouting(_) => Some(Word::of(Status::Unknown, obstacle)),
                Obstacle::Unusable(_)
                | Obstacle::TopicRecreated { .. }
                | Obstacle::GroupTaken { .. }
                | Obstacle::Invalid(_)
                | Obstacle::NameConflict { .. }
                | Obstacle::Former { .. }
                | Obstacle::DoesNotFit { .. }
                | Obstacle::Refused { .. } => None,
            };
        }
        let fleet = self.fleet()?;
        if let Some((name, error)) = self.situation.observed.reading.broken_sink() {
            let message = format!("spec.sinks[name={name}]: {error}");
            return Some(Word::new(Status::False, "SinkUnavailable", message));
        }
        let weaknesses = &fleet.facts.weaknesses;
        if !weaknesses.is_empty() {
            return Some(Word::new(
                Status::True,
                "WeakDurability",
                weaknesses.join("; "),
            ));
        }
        let count = fleet.valid.pipeline.sinks.len();
        Some(Word::new(Status::True, "Proven", format!("{count} sinks")))
    }

    pub(super) fn memory(&self) -> Option<Word> {
        match self.situation.obstacle() {
            Some(obstacle @ Obstacle::DoesNotFit { .. }) => {
                return Some(Word::of(Status::False, obstacle));
            }
            Some(_) if self.fleet().is_none() => return None,
            _ => {}
        }
        if let Some(oom) = self.oom {
            let message = format!("pod {} was killed for its memory at {}", oom.pod, oom.at.0);
            return Some(Word::new(Status::False, "OOMKilled", message));
        }
        let plan = &self.fleet()?.plan;
        let message = format!("{} of {} planned", plan.peak(), plan.limit);
        Some(Word::new(Status::True, "Planned", message))
    }
}
