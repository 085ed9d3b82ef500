//! Gathers the processor's account of itself; asked by the status address and once a second.
//! Layer: shell

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use penstock_crds::pipeline::State;
use penstock_sizing::{Plan, Pool};

use crate::{
    account::{self, Sources},
    allocator,
    backlog::{Backlog, Level},
    control::{Control, Standing},
    dispatch::pool::{Dispatcher, Gate},
    governor::{Governor, Zone},
    health::{Progress, StallDetector, Verdict},
    http::Observed,
    law::Law,
    limit::{MemoryGroup, Reading},
    metrics,
    settings_file::SettingsFile,
    source::facts::{Phase, SourceFacts},
    status::{ControlStatus, DetachedStatus, MemoryStatus, Status},
    stores::Stores,
    work::Work,
    worker::Workshop,
};

/// Reads the source's facts.
pub type SourceReader = Box<dyn Fn() -> SourceFacts + Send + Sync>;

/// Everything the account is made from.
pub struct Observatory {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Names of its topics, by topic id.
    pub topics: Vec<Arc<str>>,
    /// The plan in force, and how it compares with the cgroup.
    pub law: Mutex<Law>,
    /// The control group.
    pub memory: MemoryGroup,
    /// Dispatcher.
    pub dispatcher: Dispatcher<Work>,
    /// Stages and counters.
    pub workshop: Arc<Workshop>,
    /// Sinks and caches.
    pub stores: Stores,
    /// The source's facts.
    pub source: SourceReader,
    /// What the settings file asks for.
    pub control: Mutex<Control>,
    /// What changes from one observation to the next.
    pub watch: Watch,
}

/// What changes from one observation to the next.
#[derive(Default)]
pub struct Watch {
    stopping: AtomicBool,
    detector: Mutex<StallDetector>,
    verdict: Mutex<Option<Verdict>>,
    backlogs: Mutex<Vec<Backlog>>,
    governor: Mutex<Governor>,
}

impl Observatory {
    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.law.lock().plan()
    }

    /// The process is on its way out: not ready from now on.
    pub fn stop(&self) {
        self.watch.stopping.store(true, Ordering::Relaxed);
    }

    /// Judges progress and samples backlogs; call once a second.
    pub fn observe(&self, now: Instant) {
        let source = (self.source)();
        let facts = self.dispatcher.snapshot();
        let inline = || facts.iter().map(|partition| &partition.engine.lanes[0]);
        let running: u64 = inline().map(|lane| u64::from(lane.running)).sum();
        let progress = Progress {
            ready_keys: inline().map(|lane| u64::from(lane.ready)).sum(),
            idle_workers: u64::from(self.plan().runtime.workers).saturating_sub(running),
            finished: self.workshop.counters.totals().total(),
            source_turned: source.last_turn,
        };
        let judged = self.watch.detector.lock().observe(now, progress);
        let verdict = match source.phase {
            Phase::Joining if judged == Verdict::Ready => Verdict::Starting,
            _ => judged,
        };
        *self.watch.verdict.lock() = Some(verdict);
        self.sample_backlogs(now);
    }

    /// Follows the settings file; call once a second.
    pub fn follow(&self, file: &mut SettingsFile) {
        let Some(reading) = file.look() else {
            return;
        };
        let mut control = self.control.lock();
        let change = control.read(reading);
        match control.standing() {
            Standing::Followed => {}
            Standing::RestartNeeded => tracing::warn!("changed settings hold from the next start"),
            Standing::Refused(fault) => tracing::error!(fault, "changed settings are refused"),
        }
        if let Some(state) = change {
            tracing::info!(?state, "the object asks for another state");
            match state {
                State::Running => self.dispatcher.open_gate(Gate::Operator),
                State::Paused | State::Drained => self.dispatcher.close_gate(Gate::Operator),
            }
            control.entered(state, Instant::now());
        }
    }

    /// Holds the working set against the enforced limit; call four times a second.
    pub fn govern(&self) {
        let Ok(Reading {
            limit: Some(limit),
            working_set,
            ..
        }) = self.memory.read()
        else {
            return;
        };
        let Some(zone) = self.watch.governor.lock().sample(working_set, limit) else {
            return;
        };
        tracing::warn!(?zone, %working_set, %limit, "the governor acts");
        match zone {
            Zone::Open => self.dispatcher.open_gate(Gate::Memory),
            Zone::Closed | Zone::Stopped => self.dispatcher.close_gate(Gate::Memory),
        }
        match zone {
            Zone::Stopped => self.dispatcher.hold(),
            Zone::Open | Zone::Closed => self.dispatcher.resume(),
        }
        if zone != Zone::Open
            && let Err(error) = allocator::purge()
        {
            tracing::warn!(%error, "cannot purge");
        }
    }

    fn sample_backlogs(&self, now: Instant) {
        let levels = self.levels();
        let mut backlogs = self.watch.backlogs.lock();
        backlogs.resize_with(levels.len(), Backlog::default);
        backlogs
            .iter_mut()
            .zip(levels)
            .for_each(|(backlog, level)| backlog.sample(now, level));
    }

    /// Level of each detached stage.
    fn levels(&self) -> Vec<Level> {
        let facts = self.dispatcher.snapshot();
        let stages = self.workshop.chain.lanes().len() - 1;
        let room = account::room(&facts, &self.dispatcher.pod(), &self.plan());
        let queued = |lane: usize| {
            facts
                .iter()
                .map(|p| u64::from(p.engine.lanes[lane].queued))
                .sum::<u64>()
        };
        (1..=stages)
            .map(|lane| Level {
                queued: queued(lane),
                room,
            })
            .collect()
    }

    fn detached(&self) -> Vec<DetachedStatus> {
        let backlogs = self.watch.backlogs.lock();
        let lanes = self.workshop.chain.lanes().iter().skip(1);
        let levels = lanes.zip(self.levels()).enumerate();
        levels
            .map(|(index, (lane, level))| DetachedStatus {
                stage: lane
                    .stages()
                    .map(AsRef::as_ref)
                    .collect::<Vec<&str>>()
                    .join(", "),
                queued: level.queued,
                seconds_until_back_pressure: backlogs
                    .get(index)
                    .and_then(Backlog::seconds_until_back_pressure),
            })
            .collect()
    }

    fn memory(&self) -> MemoryStatus {
        let plan = self.plan();
        let held = |pool: Pool| match pool {
            Pool::Dispatcher => Some(self.dispatcher.pod().bytes),
            Pool::Active => {
                let active = self.workshop.chain.active();
                Some(active.bytes().saturating_sub(active.available()))
            }
            Pool::Sinks => Some(self.stores.held_by_sinks(&plan).0),
            Pool::Caches => Some(self.stores.held_by_caches().0),
            // The client counts what it holds, but tells of it only once in a statistics interval.
            Pool::Kafka => None,
        };
        let (zone, activations) = {
            let governor = self.watch.governor.lock();
            (governor.zone(), governor.activations())
        };
        let working_set = self.memory.read().ok().map(|reading| reading.working_set);
        let law = self.law.lock();
        account::memory(&law, held, working_set, (zone, activations))
    }
}

impl Observed for Observatory {
    fn status(&self) -> Status {
        let source = (self.source)();
        let plan = self.plan();
        let (facts, pod) = (self.dispatcher.snapshot(), self.dispatcher.pod());
        let control = self.control.lock();
        let in_force = control.in_force();
        let at_rest = account::at_rest(in_force, &source, &facts, &pod);
        let sources = Sources {
            topics: &self.topics,
            plan: &plan,
            source: &source,
            service_micros: self.workshop.counters.service_micros(),
            closed: account::closed(pod.gates, in_force.state),
        };
        Status {
            pipeline: self.pipeline.clone(),
            readiness: self.readiness().reason().to_owned(),
            control: ControlStatus {
                settled: at_rest,
                ..account::control(&control)
            },
            finished: self.workshop.counters.totals(),
            partitions: sources.partitions(&facts),
            gears: sources.gears(),
            source: sources.source(Instant::now()),
            plan: sources.plan(),
            memory: self.memory(),
            detached: self.detached(),
            sinks: account::sinks(&self.workshop.outages.health()),
            troubles: self.workshop.troubles.list(),
        }
    }

    fn readiness(&self) -> Verdict {
        if self.watch.stopping.load(Ordering::Relaxed) {
            return Verdict::Stopping;
        }
        self.watch.verdict.lock().unwrap_or(Verdict::Starting)
    }

    fn metrics(&self) -> String {
        metrics::render(&self.status(), &self.workshop.counters)
    }
}
