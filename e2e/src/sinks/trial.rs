//! One scenario in progress: its records, its processors, and the comparison at the end.
//! Layer: shell

use std::{
    io,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    SinksError,
    books::{self, Books, Sets},
    ground::{Ground, Places, Stores},
    observe,
    pipeline::Doors,
    proxy::Proxy,
};
use crate::{
    fleet::{self, Launcher, Processor},
    report::{Row, Verdict},
    services::{Service, Store},
    topics::Watch,
    wait::{self, Waited},
};

const GRACE: Duration = Duration::from_secs(30);
/// Without a commit for so long, a run stands still.
const STALL: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// One scenario in progress.
pub(crate) struct Trial<'a> {
    ground: &'a Ground<'a>,
    name: &'static str,
    places: Places<'a>,
    /// Where its processors go.
    pub(crate) doors: Doors,
    books: Books,
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
        let folder = ground.folder.join("sinks").join(name);
        fleet::fresh_folder(&folder)?;
        let bootstrap = ground.broker.bootstrap();
        let books = Books::lay((bootstrap, name), ground.seed, records)?;
        let stores = ground.stores;
        let places = Places {
            search: match search {
                Store::Opensearch => &stores.opensearch,
                _ => &stores.elasticsearch,
            },
            mongodb: &stores.mongodb,
            redis: &stores.redis,
        };
        Ok(Self {
            watch: books.watch()?,
            launcher: Launcher {
                program: ground.program.clone(),
                folder,
            },
            rng: SmallRng::seed_from_u64(ground.seed),
            doors: places.doors(bootstrap),
            ground,
            name,
            places,
            books,
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
        self.places.search
    }

    /// Name on the command line, before all that is stored.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Puts a proxy in front of each store: search, MongoDB, Redis.
    pub(crate) fn intercept(&mut self) -> Result<[Proxy; 3], SinksError> {
        let doors = [
            &mut self.doors.search,
            &mut self.doors.mongodb,
            &mut self.doors.redis,
        ];
        let [search, mongodb, redis] = doors.map(|door| {
            let proxy = Proxy::start(door.clone())?;
            *door = proxy.address();
            io::Result::Ok(proxy)
        });
        Ok([search?, mongodb?, redis?])
    }

    /// Starts a processor and waits until it has partitions.
    pub(crate) fn start(&mut self) -> Result<Processor, SinksError> {
        let text = self.books.pipeline(&self.doors);
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
        self.books.records()
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

    /// Waits until a proxy holds everything; an end of the records before that is a fault.
    pub(crate) fn await_sprung(
        &mut self,
        processor: &mut Processor,
        proxy: &Proxy,
    ) -> Result<(), SinksError> {
        let sprung = wait::until(STALL, POLL, || -> Result<_, SinksError> {
            processor.check_alive()?;
            Ok(proxy.is_sprung().then_some(()))
        })?;
        if sprung == Waited::TimedOut {
            let committed = self.committed();
            self.fault(format!("a trap never sprang, {committed} committed"));
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
        let findings = self.books.audit(&self.places, sets)?;
        self.faults.extend(books::broken(&findings));
        let verdict = match self.faults.is_empty() {
            true => Verdict::Pass,
            false => Verdict::Fail,
        };
        Ok(Row {
            records: self.books.records(),
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
}
