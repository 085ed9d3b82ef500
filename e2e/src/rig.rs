//! What one scenario works with: its topics, its feed, its processors, and the books at the end.
//! Layer: shell

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    feed::{Feed, FeedError},
    fleet::{self, FleetError, Launcher, Processor, Program},
    interrupt::Interrupted,
    kafka::{Broker, BrokerError},
    names::Names,
    observe::ObserveError,
    pipeline::{self, Door, Protocol, Template},
    status::Status,
    topics::{self, TopicError, Watch},
    wait::{self, Waited},
    workload::Workload,
};

mod verdict;

/// Partitions of every input topic.
pub(crate) const PARTITIONS: u32 = 12;
/// What Kubernetes gives a pod by default.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Without any progress for so long, a run stands still.
const STALL: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Why a scenario could not be carried out; what it found out about promises is a verdict instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error("read what processors or openssl wrote")]
    Read(#[from] std::io::Error),
    #[error("lock the sink's file from outside")]
    Lock(#[from] rusqlite::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Where scenarios run.
pub(crate) struct Site<'a> {
    /// The broker.
    pub(crate) broker: &'a Broker,
    /// The processor under test.
    pub(crate) program: Program,
    /// Files of the scenarios; kept until the next run, for a person to look into.
    pub(crate) folder: &'a Path,
    /// Start of every choice.
    pub(crate) seed: u64,
}

/// What sets one scenario's world apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Which pipeline.
    pub(crate) template: Template,
    /// Which group protocol.
    pub(crate) protocol: Protocol,
    /// Distinct keys.
    pub(crate) keys: u32,
}

/// One scenario in progress.
pub(crate) struct Rig<'a> {
    site: &'a Site<'a>,
    shape: Shape,
    names: Names,
    workload: Workload,
    watch: Watch,
    launcher: Launcher,
    door: Door,
    feed: Option<Feed>,
    laid: u32,
    started: Instant,
    incarnations: u64,
    busy: Vec<u64>,
    window: u64,
    disturbances: u64,
    faults: Vec<String>,
    /// Choices of the scenario.
    pub(crate) rng: SmallRng,
}

impl<'a> Rig<'a> {
    /// Fresh topics, group and folder.
    pub(crate) fn new(site: &'a Site<'a>, shape: Shape) -> Result<Self, ScenarioError> {
        // A seed may be run again on a broker that was given, so it does not name the topics alone.
        let run = format!("{:x}-{}", site.seed, std::process::id());
        let names = Names::new(shape.name, &run);
        let folder = site.folder.join(shape.name);
        fleet::fresh_folder(&folder)?;
        let bootstrap = site.broker.bootstrap();
        topics::create(bootstrap, &names, PARTITIONS)?;
        let workload = Workload {
            seed: site.seed,
            keys: shape.keys,
            partitions: PARTITIONS,
        };
        Ok(Self {
            site,
            shape,
            watch: Watch::new(bootstrap, &names, PARTITIONS)?,
            door: Door {
                bootstrap: bootstrap.to_owned(),
                security: String::new(),
            },
            feed: Some(Feed::new(bootstrap, &names.input, workload)?),
            names,
            workload,
            launcher: Launcher {
                program: site.program.clone(),
                folder,
            },
            laid: 0,
            started: Instant::now(),
            incarnations: 0,
            busy: Vec::new(),
            window: 0,
            disturbances: 0,
            faults: Vec::new(),
            rng: SmallRng::seed_from_u64(site.seed),
        })
    }

    /// The broker under the scenario.
    pub(crate) fn broker(&self) -> &'a Broker {
        self.site.broker
    }

    /// Topics and group.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The program under test, and where its files go.
    pub(crate) fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// The file of the embedded sink.
    pub(crate) fn sink_file(&self) -> std::path::PathBuf {
        self.launcher.folder.join("sink.db")
    }

    /// Appends the next `records` to the input.
    pub(crate) fn lay(&mut self, records: u32) -> Result<(), ScenarioError> {
        let next = self.laid + records;
        self.feed
            .as_mut()
            .ok_or(FeedError::Ended)?
            .lay(self.laid..next)?;
        self.laid = next;
        Ok(())
    }

    /// Another feeder goes on: an idempotent producer that was idle during an outage was once seen to
    /// deliver nothing for a minute after it, and the feeder is not what a scenario is about.
    pub(crate) fn renew_feed(&mut self) -> Result<(), ScenarioError> {
        let bootstrap = self.site.broker.bootstrap();
        self.feed = Some(Feed::new(bootstrap, &self.names.input, self.workload)?);
        Ok(())
    }

    /// Hands the feed over to a steady stream; [`Rig::streamed`] takes its count.
    pub(crate) fn take_feed(&mut self) -> Result<Feed, ScenarioError> {
        Ok(self.feed.take().ok_or(FeedError::Ended)?)
    }

    /// Notes how many records a stream appended.
    pub(crate) fn streamed(&mut self, records: u32) {
        self.laid = records;
    }

    /// Starts a processor and waits until it has a plan and partitions.
    pub(crate) fn start(&mut self) -> Result<Processor, ScenarioError> {
        let mut processor = self.launch()?;
        self.await_assigned(&mut processor)?;
        Ok(processor)
    }

    /// Waits until a launched processor has a plan and partitions.
    pub(crate) fn await_assigned(&mut self, of: &mut Processor) -> Result<(), ScenarioError> {
        let Status { window, .. } = of.await_assigned()?;
        self.window = self.window.max(window);
        Ok(())
    }

    /// Starts a processor and does not wait for anything.
    pub(crate) fn launch(&mut self) -> Result<Processor, ScenarioError> {
        let processor = self.launcher.start(&self.pipeline(), self.incarnations)?;
        self.incarnations += 1;
        Ok(processor)
    }

    /// The pipeline of the next processor.
    pub(crate) fn pipeline(&self) -> String {
        let Shape {
            template, protocol, ..
        } = self.shape;
        let (door, names) = (&self.door, &self.names);
        pipeline::write(template, protocol, door, names, self.incarnations)
    }

    /// From now on processors meet the brokers here; the scenario itself stays with plain text.
    pub(crate) fn enter_by(&mut self, door: Door) {
        self.door = door;
    }

    /// Writes a Secret as Kubernetes mounts it, whole.
    pub(crate) fn put_secret(&self, name: &str, keys: &[(&str, &str)]) -> Result<(), FleetError> {
        self.launcher.put_secret(name, keys)
    }

    /// What a processor has logged.
    pub(crate) fn log(&self, of: &Processor) -> std::io::Result<String> {
        std::fs::read_to_string(self.launcher.log(of.incarnation()))
    }

    /// Notes a processor that had partitions and time, so that it must have processed something.
    pub(crate) fn must_have_progressed(&mut self, processor: &Processor) {
        self.busy.push(processor.incarnation());
    }

    /// Notes that owners may change now.
    pub(crate) fn disturb(&mut self) {
        self.disturbances += 1;
    }

    /// Notes something that went wrong.
    pub(crate) fn fault(&mut self, what: Option<String>) {
        self.faults.extend(what);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, processor: Processor) -> Result<(), ScenarioError> {
        self.disturb();
        Ok(processor.kill()?)
    }

    /// SIGTERM; a processor that does not exit 0 within the grace period is a fault.
    pub(crate) fn stop(&mut self, processor: Processor) -> Result<(), ScenarioError> {
        self.disturb();
        let fault = processor.stop(GRACE)?;
        self.fault(fault);
        Ok(())
    }

    /// Finished work so far: effects in the output topic, or commits where there is no output.
    pub(crate) fn progress(&self) -> Result<u64, ScenarioError> {
        Ok(match self.shape.template {
            Template::Produce => self.watch.produced()?,
            Template::Embedded => self.watch.committed()?.iter().sum(),
        })
    }

    /// Waits until [`Rig::progress`] has grown beyond `before` and reached `target`.
    pub(crate) fn await_progress(
        &mut self,
        processor: &mut Processor,
        before: u64,
        target: u64,
    ) -> Result<(), ScenarioError> {
        let reached = wait::until(STALL, POLL, || -> Result<_, ScenarioError> {
            processor.check_alive()?;
            let progress = self.progress()?;
            Ok((progress > before && progress >= target).then_some(()))
        })?;
        if reached == Waited::TimedOut {
            let at = self.progress()?;
            self.fault(Some(format!(
                "no way from {before} to {target} in 60 s, stands at {at}"
            )));
        }
        Ok(())
    }

    /// Waits until everything laid is committed; a standstill is a fault.
    pub(crate) fn await_committed(
        &mut self,
        processors: &mut [Processor],
    ) -> Result<(), ScenarioError> {
        let expected = self.watch.input()?;
        let mut last = (0, Instant::now());
        loop {
            processors.iter_mut().try_for_each(Processor::check_alive)?;
            // A broker that was just let go on may not answer yet: the stall limit decides.
            let commits = self.watch.committed().unwrap_or_default();
            if commits == expected {
                return Ok(());
            }
            let sum = commits.iter().sum::<u64>();
            if sum > last.0 {
                last = (sum, Instant::now());
            }
            if last.1.elapsed() > STALL {
                let all: u64 = expected.iter().sum();
                self.fault(Some(format!(
                    "no commit for 60 s, stands at {} of {all}",
                    last.0
                )));
                return Ok(());
            }
            wait::pass(Duration::from_millis(50))?;
        }
    }

    /// A number in the range, from the scenario's seed.
    pub(crate) fn choose(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.rng.random_range(range)
    }
}
