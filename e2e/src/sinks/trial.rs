//! One scenario in progress: its records, its processors, and the comparison at the end.
//! Layer: shell

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use penstock_cli::demo::{
    audit::{Audit, Findings},
    dead_letters,
    log::Log,
    producer::{self, Production},
    reference::Reference,
    shared::Shared,
    storefront::{Storefront, Workload},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    SinksError,
    ground::{Ground, Stores},
    observe,
    pipeline::{self, Doors},
};
use crate::{
    fleet::{self, Launcher, Processor},
    names::Names,
    report::{Row, Verdict},
    services::{Service, Store},
    topics::{self, Watch},
    wait::{self, Waited},
};

const PARTITIONS: u32 = 12;
const KEYS: u32 = 3_000;
/// Timestamp of the first record; the rest follow within four days.
const START_MS: i64 = 1_795_000_000_000;
const GRACE: Duration = Duration::from_secs(30);
/// Without a commit for so long, a run stands still.
const STALL: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Whether the sets of visitors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sets {
    /// They must be those of the reference.
    Exact,
    /// The server has lost them.
    Lost,
}

/// One scenario in progress.
pub(crate) struct Trial<'a> {
    ground: &'a Ground<'a>,
    name: &'static str,
    search: Store,
    /// Where its processors go.
    pub(crate) doors: Doors,
    names: Names,
    storefront: Arc<Storefront>,
    log: Log,
    watch: Watch,
    launcher: Launcher,
    incarnations: u64,
    disturbances: u64,
    faults: Vec<String>,
    figures: Vec<String>,
    started: Instant,
    rng: SmallRng,
}

impl<'a> Trial<'a> {
    /// Fresh topics and folder, all records laid.
    pub(crate) fn new(
        ground: &'a Ground<'a>,
        name: &'static str,
        search: Store,
        records: u32,
    ) -> Result<Self, SinksError> {
        let run = format!("{:x}-{}", ground.seed, std::process::id());
        let names = Names::new(name, &run);
        let folder = ground.folder.join("sinks").join(name);
        fleet::fresh_folder(&folder)?;
        let bootstrap = ground.broker.bootstrap();
        // The records are older than brokers keep them by default.
        let counts = [(&*names.input, PARTITIONS), (&*names.dead, 1)];
        topics::create_all(bootstrap, &counts, &[("retention.ms", "-1")])?;
        let storefront = Arc::new(Storefront::new(Workload {
            seed: ground.seed,
            records,
            keys: KEYS,
            partitions: PARTITIONS,
            start_ms: START_MS,
        }));
        let stores = ground.stores;
        let doors = Doors {
            kafka: bootstrap.to_owned(),
            search: service(stores, search).address(),
            mongodb: stores.mongodb.address(),
            redis: stores.redis.address(),
        };
        Ok(Self {
            log: lay(bootstrap, &names, &storefront)?,
            watch: Watch::new(bootstrap, &names, PARTITIONS)?,
            launcher: Launcher {
                program: ground.program.clone(),
                folder,
            },
            rng: SmallRng::seed_from_u64(ground.seed),
            ground,
            name,
            search,
            doors,
            names,
            storefront,
            incarnations: 0,
            disturbances: 0,
            faults: Vec::new(),
            figures: Vec::new(),
            started: Instant::now(),
        })
    }

    /// The stores.
    pub(crate) fn stores(&self) -> &'a Stores {
        self.ground.stores
    }

    /// The one that has documents and counters.
    pub(crate) fn search(&self) -> &'a Service {
        service(self.ground.stores, self.search)
    }

    /// Name on the command line, before all that is stored.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Starts a processor and waits until it has partitions.
    pub(crate) fn start(&mut self) -> Result<Processor, SinksError> {
        let text = pipeline::write(self.name, &self.doors, &self.names);
        let mut processor = self.launcher.start(&text, self.incarnations)?;
        self.incarnations += 1;
        processor.await_assigned()?;
        Ok(processor)
    }

    /// Records that are committed.
    pub(crate) fn committed(&self) -> u64 {
        // A broker that does not answer for a moment is asked again; the stall limit decides.
        self.watch.committed().unwrap_or_default().iter().sum()
    }

    /// All of them.
    pub(crate) fn records(&self) -> u64 {
        self.log.len() as u64
    }

    /// A number in the range, from the run's seed.
    pub(crate) fn choose(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.rng.random_range(range)
    }

    /// Notes a fault that was put in.
    pub(crate) fn disturb(&mut self) {
        self.disturbances += 1;
    }

    /// Notes something that went wrong.
    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    /// Notes what was measured.
    pub(crate) fn figure(&mut self, what: String) {
        self.figures.push(what);
    }

    /// Waits until so many records are committed, doing something each time it looks; a standstill
    /// is a fault.
    pub(crate) fn await_committed(
        &mut self,
        processors: &mut [Processor],
        target: u64,
        mut meanwhile: impl FnMut(&mut Self) -> Result<(), SinksError>,
    ) -> Result<(), SinksError> {
        let mut last = (0, Instant::now());
        let reached = wait::until(
            Duration::from_secs(3600),
            POLL,
            || -> Result<_, SinksError> {
                processors.iter_mut().try_for_each(Processor::check_alive)?;
                let committed = self.committed();
                if committed > last.0 {
                    last = (committed, Instant::now());
                }
                if committed >= target || last.1.elapsed() > STALL {
                    return Ok(Some(committed));
                }
                meanwhile(self)?;
                Ok(None)
            },
        )?;
        match reached {
            Waited::Met(committed) if committed >= target => {}
            _ => self.fault(format!(
                "no commit for 60 s, stands at {} of {target}",
                last.0
            )),
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, processor: Processor) -> Result<(), SinksError> {
        self.disturb();
        Ok(processor.kill()?)
    }

    /// SIGTERM; a processor that does not exit 0 in time is a fault, and so are counters that it
    /// did not flush.
    pub(crate) fn stop(&mut self, processor: Processor) -> Result<(), SinksError> {
        let fault = processor.stop(GRACE)?;
        self.faults.extend(fault);
        let dirty = observe::dirty(&self.stores().redis, self.name)?;
        if dirty > 0 {
            self.fault(format!("{dirty} counters were not flushed at the end"));
        }
        Ok(())
    }

    /// Compares every document, counter and set with the reference.
    pub(crate) fn judge(mut self, sets: Sets) -> Result<Row, SinksError> {
        let reference = Reference::of(&self.storefront, &self.log);
        let mut audit = Audit::new(&self.storefront, &self.log, &reference);
        let stores = self.ground.stores;
        observe::stores(stores, (self.search(), self.name), &mut audit)?;
        match sets {
            Sets::Exact => observe::members(&stores.redis, self.name, &mut audit)?,
            Sets::Lost => observe::forgive_members(&reference, &mut audit),
        }
        observe::forgive_duplicates(&self.log, &mut audit);
        for (partition, offset) in self.dead_letters()? {
            audit.dead_letter(partition, offset);
        }
        let findings = audit.finish();
        self.faults.extend(broken(&findings));
        let verdict = match self.faults.is_empty() {
            true => Verdict::Pass,
            false => Verdict::Fail,
        };
        Ok(Row {
            records: self.log.len() as u64,
            lost: findings.lost,
            out_of_order: findings.out_of_order,
            totals_exact: Some(findings.mismatches == 0),
            instances: self.incarnations,
            disturbances: self.disturbances,
            seconds: self.started.elapsed().as_secs_f64(),
            violations: self.faults,
            figures: self.figures,
            examples: findings.examples,
            ..Row::empty(self.name, verdict)
        })
    }

    fn dead_letters(&self) -> Result<dead_letters::Origins, SinksError> {
        let ended = Shared::new(PARTITIONS);
        ended.stop();
        let bootstrap = self.ground.broker.bootstrap();
        Ok(dead_letters::collect(bootstrap, &self.names.dead, &ended)?)
    }
}

pub(super) fn service(stores: &Stores, store: Store) -> &Service {
    match store {
        Store::Elasticsearch => &stores.elasticsearch,
        Store::Opensearch => &stores.opensearch,
        Store::Mongodb => &stores.mongodb,
        Store::Redis => &stores.redis,
    }
}

fn lay(bootstrap: &str, names: &Names, storefront: &Arc<Storefront>) -> Result<Log, SinksError> {
    let shared = Arc::new(Shared::new(PARTITIONS));
    let production = Production {
        bootstrap_servers: bootstrap.to_owned(),
        topic: names.input.clone(),
        storefront: Arc::clone(storefront),
        pacing: None,
    };
    let log = producer::produce(production, &shared)?;
    match shared.failure() {
        None => Ok(log),
        Some(reason) => Err(SinksError::Laid(reason)),
    }
}

fn broken(findings: &Findings) -> Vec<String> {
    let kinds = [
        (findings.lost, "records lost"),
        (findings.out_of_order, "keys out of order"),
        (
            findings.mismatches,
            "documents, counters or members differ from the reference",
        ),
    ];
    let found = kinds.into_iter().filter(|(count, _)| *count > 0);
    found
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}
