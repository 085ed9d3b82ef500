//! Facts of source, dispatcher and sinks in the words of the status.
//! Layer: core

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use penstock_crds::pipeline::State;
use penstock_sizing::{Bytes, Plan, Pool, record_charge};

use crate::{
    control::{Control, InForce, Standing},
    dispatch::{
        engine::EngineFacts,
        pool::{Gate, PartitionFacts, PodFacts},
    },
    governor::Zone,
    law::Law,
    notices,
    record::TopicPartition,
    sinks::guard::{GuardHealth, breaker},
    source::{
        facts::{Gear, SourceFacts, Unreadable},
        intake::HeldReason,
    },
    status::{
        ControlStatus, GearStatus, MemoryPart, MemoryStatus, PartitionStatus, PlanStatus,
        SinkStatus, SourceStatus, StuckStatus,
    },
};

/// An unreadable batch that was not met again for so long is behind.
const STUCK: Duration = Duration::from_secs(10);

/// What partitions and gears are told from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Names by topic id.
    pub topics: &'a [Arc<str>],
    /// The plan in force.
    pub plan: &'a Plan,
    /// The source's facts.
    pub source: &'a SourceFacts,
    /// Mean time that the inline stages take for a record, microseconds; 0 when unknown.
    pub service_micros: u64,
    /// Why no partition admits anything; `None` while all gates are open.
    pub closed: Option<&'static str>,
}

impl Sources<'_> {
    /// Every assigned partition.
    #[must_use]
    pub fn partitions(&self, engines: &[PartitionFacts]) -> Vec<PartitionStatus> {
        let of = |partition: TopicPartition| engines.iter().find(|e| e.partition == partition);
        let assigned = self.source.partitions.iter();
        assigned
            .filter_map(|facts| Some(self.partition(facts, of(facts.partition)?)))
            .collect()
    }

    fn partition(
        &self,
        source: &crate::source::facts::PartitionFacts,
        dispatched: &PartitionFacts,
    ) -> PartitionStatus {
        let engine = &dispatched.engine;
        let watermark = stands_at(engine, source.position);
        let between = |(end, watermark): (i64, i64)| u64::try_from(end - watermark).unwrap_or(0);
        let unfinished = source.end.zip(watermark).map(between);
        let permille = engine.hottest.map_or(0, |hottest| hottest.permille);
        PartitionStatus {
            topic: self.topic(source.partition),
            partition: source.partition.partition,
            epoch: engine.epoch.0,
            watermark: watermark.unwrap_or(-1),
            position: source.position.unwrap_or(-1),
            window: engine.window,
            window_limit: self.plan.dispatch.window,
            held: engine.records,
            blocked_keys: engine
                .lanes
                .iter()
                .map(|lane| u64::from(lane.blocked))
                .sum(),
            bytes: engine.bytes,
            lag_records: unfinished,
            lag_seconds: self.lag_seconds(unfinished),
            gear: self.number(source.gear),
            gear_reason: self.reason(source.gear).map(str::to_owned),
            hottest_key_permille: permille,
            ceiling_per_second: ceiling(permille, self.service_micros),
        }
    }

    /// Seconds that the lag needs at the mean service time with every worker busy; `None` while
    /// either is unknown.
    fn lag_seconds(&self, lag: Option<u64>) -> Option<u64> {
        let workers = u64::from(self.plan.runtime.workers).max(1);
        let micros = lag?.saturating_mul(self.service_micros.max(1)) / workers;
        Some(micros.div_ceil(1_000_000))
    }

    /// What holds records back now.
    #[must_use]
    pub fn gears(&self) -> Vec<GearStatus> {
        let name = |gear| match gear {
            Gear::Open => self.closed.map(|_| "held"),
            Gear::Held(_) => Some("held"),
            Gear::Paused => Some("paused"),
            Gear::Draining => Some("draining"),
        };
        let partitions = self.source.partitions.iter();
        partitions
            .filter_map(|facts| {
                Some(GearStatus {
                    name: name(facts.gear)?.to_owned(),
                    partition: format!(
                        "{}/{}",
                        self.topic(facts.partition),
                        facts.partition.partition
                    ),
                    reason: self.reason(facts.gear)?.to_owned(),
                })
            })
            .collect()
    }

    /// The client's counters.
    #[must_use]
    pub fn source(&self, now: Instant) -> SourceStatus {
        let faults = &self.source.faults;
        let ours = [
            faults.on_main_queue,
            faults.unowned,
            faults.backwards,
            faults.silent,
        ];
        SourceStatus {
            rebalances: self.source.rebalances,
            pauses: self.source.pauses,
            faults: ours.iter().sum::<u64>() + faults.unreadable + faults.refused,
            rebuilds: faults.rebuilds,
            commit_failures: faults.commits,
            stuck: self.source.unreadable.and_then(|at| self.stuck(at, now)),
            trouble: self.source.trouble.as_deref().map(str::to_owned),
            seconds_since_commit: self
                .source
                .last_commit
                .map(|at| now.saturating_duration_since(at).as_secs()),
        }
    }

    /// A batch that the client cannot read is tried twice a second for ever: while that goes on the
    /// partition stands still.
    fn stuck(&self, unreadable: Unreadable, now: Instant) -> Option<StuckStatus> {
        let recent = now.saturating_duration_since(unreadable.seen) < STUCK;
        recent.then(|| StuckStatus {
            topic: self.topic(unreadable.position.partition),
            partition: unreadable.position.partition.partition,
            offset: unreadable.position.offset,
            reason: format!("{:?}", unreadable.code),
        })
    }

    /// Numbers of the plan.
    #[must_use]
    pub fn plan(&self) -> PlanStatus {
        PlanStatus {
            window_records: self.plan.dispatch.window,
            workers: self.plan.runtime.workers,
            detached_workers: self.plan.runtime.detached_workers,
            dispatcher_bytes: self.plan.dispatch.bytes.0,
        }
    }

    fn number(&self, gear: Gear) -> u8 {
        match gear {
            Gear::Open => u8::from(self.closed.is_some()),
            Gear::Held(_) | Gear::Draining => 1,
            Gear::Paused => 2,
        }
    }

    fn reason(&self, gear: Gear) -> Option<&'static str> {
        match gear {
            Gear::Open => self.closed,
            Gear::Held(held) => Some(match held.reason {
                // Opened since the source looked.
                HeldReason::GateClosed => self.closed.unwrap_or("a gate was closed"),
                HeldReason::PodFull => "the pod's bytes are used up",
                HeldReason::PartitionFull => "the partition's records, bytes or window are used up",
            }),
            Gear::Paused => Some("over its share while other partitions wait"),
            Gear::Draining => Some("a revoke waits for running records"),
        }
    }

    fn topic(&self, partition: TopicPartition) -> String {
        self.topics[usize::from(partition.topic.0)].to_string()
    }
}

/// Where a partition stands: every record below is finished. Until one is in this epoch, such as
/// after a restart behind a record that blocks, it stands at the oldest that is open, and with none
/// where it reads next.
fn stands_at(engine: &EngineFacts, position: Option<i64>) -> Option<i64> {
    engine.watermark.or(engine.oldest_open).or(position)
}

/// Records that may still be admitted before the windows or the pod's bytes are used up.
#[must_use]
pub fn room(engines: &[PartitionFacts], pod: &PodFacts, plan: &Plan) -> u64 {
    let window = |e: &PartitionFacts| plan.dispatch.window.saturating_sub(e.engine.window);
    let windows: u64 = engines.iter().map(window).sum();
    let charge = pod
        .bytes
        .checked_div(pod.records)
        .unwrap_or_else(|| record_charge(1024));
    windows.min(pod.budget.saturating_sub(pod.bytes) / charge.max(1))
}

/// Whether nothing of what was admitted can be finished now: the rest waits behind keys that are
/// parked or blocked.
#[must_use]
pub fn settled(engines: &[PartitionFacts]) -> bool {
    let mut lanes = engines.iter().flat_map(|partition| &partition.engine.lanes);
    lanes.all(|lane| lane.ready == 0 && lane.running == 0)
}

/// The ledger against the plan. `held` are the bytes of a pool, where they are counted.
#[must_use]
pub fn memory(
    law: &Law,
    held: impl Fn(Pool) -> Option<u64>,
    working_set: Option<Bytes>,
    (zone, activations): (Zone, u64),
) -> MemoryStatus {
    let plan = law.plan();
    let part = |pool: Pool| MemoryPart {
        name: pool.name().to_owned(),
        planned_bytes: plan.pools[pool].0,
        held_bytes: held(pool),
    };
    // Pools that nobody counts are taken as planned: that is what their owners may hold.
    let ledger = Pool::ALL.map(|pool| held(pool).unwrap_or(plan.pools[pool].0));
    let explained = plan.explained(Bytes(ledger.iter().sum()));
    MemoryStatus {
        limit_bytes: plan.limit.0,
        limit_source: law.agreement().to_string(),
        limit_changes: law.changes(),
        working_set_bytes: working_set.map(|bytes| bytes.0),
        model_error_bytes: working_set.map(|bytes| signed(bytes) - signed(explained)),
        plan_peak_bytes: plan.peak().0,
        parts: Pool::ALL.map(part).into(),
        governor_activations: activations,
        notices: notices::notices(law, zone),
    }
}

fn signed(bytes: Bytes) -> i64 {
    i64::try_from(bytes.0).unwrap_or(i64::MAX)
}

/// Why no partition admits anything, from the bits of the closed gates.
#[must_use]
pub fn closed(gates: u8, state: State) -> Option<&'static str> {
    let has = |gate: Gate| gates & gate as u8 != 0;
    if has(Gate::Shutdown) {
        return Some("the process is ending");
    }
    if has(Gate::Memory) {
        return Some("the governor is short of memory");
    }
    has(Gate::Operator).then_some(match state {
        State::Paused => "the object's state is Paused",
        State::Drained => "the object's state is Drained",
        // Opened since the bits were read.
        State::Running => "the object's state was not Running",
    })
}

/// What is told of the settings file and the state in force; whether it is settled says
/// [`at_rest`].
#[must_use]
pub fn control(control: &Control) -> ControlStatus {
    let InForce { state, .. } = control.in_force();
    ControlStatus {
        state,
        settled: false,
        restart_needed: *control.standing() == Standing::RestartNeeded,
        fault: match control.standing() {
            Standing::Refused(fault) => Some(fault.clone()),
            Standing::Followed | Standing::RestartNeeded => None,
        },
    }
}

/// Whether everything that was ever admitted is finished and covered by an acknowledged commit,
/// and nothing more can come. An admission that had begun when the gate was closed is over once
/// the source has turned since.
#[must_use]
pub fn at_rest(
    in_force: InForce,
    source: &SourceFacts,
    engines: &[PartitionFacts],
    pod: &PodFacts,
) -> bool {
    let closed = in_force.state != State::Running && source.last_turn > in_force.since;
    closed && pod.records == 0 && engines.iter().all(|e| e.engine.window == 0)
}

/// Every sink.
#[must_use]
pub fn sinks(health: &[(Arc<str>, GuardHealth)]) -> Vec<SinkStatus> {
    let sink = |(name, health): &(Arc<str>, GuardHealth)| SinkStatus {
        name: name.to_string(),
        breaker: match health.state {
            breaker::State::Closed => "Closed",
            breaker::State::Open { .. } => "Open",
            breaker::State::HalfOpen => "HalfOpen",
        }
        .to_owned(),
        in_flight: health.in_flight,
        consecutive_failures: health.consecutive_failures.into(),
        last_error: health.last_error.as_deref().map(str::to_owned),
    };
    health.iter().map(sink).collect()
}

/// 1 / (share · service time): what one key allows, since its records run one by one.
fn ceiling(permille: u32, service_micros: u64) -> Option<u64> {
    1_000_000_000_u64.checked_div(u64::from(permille) * service_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::engine::{Engine, Limits};

    #[test]
    fn a_partition_stands_at_the_record_that_blocks_it() {
        let limits = Limits {
            records: 1,
            bytes: 1,
            window: 1,
            running: 1,
            detached_running: 1,
        };
        let stands = |watermark, oldest_open| {
            let engine = EngineFacts {
                watermark,
                oldest_open,
                ..Engine::<()>::new(1, limits).facts()
            };
            stands_at(&engine, Some(511))
        };
        assert_eq!(stands(Some(260), Some(266)), Some(260));
        assert_eq!(stands(None, Some(266)), Some(266), "read ahead to 511");
        assert_eq!(stands(None, None), Some(511));
    }

    #[test]
    fn the_hottest_key_sets_the_ceiling() {
        // 8.8 % of the records and 2.14 ms of work allow 5,310 a second.
        assert_eq!(ceiling(88, 2140), Some(5310));
        assert_eq!(ceiling(0, 2140), None);
        assert_eq!(ceiling(88, 0), None);
    }
}
