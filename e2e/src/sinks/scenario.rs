//! What is done to processors and stores while the storefront runs.
//! Layer: shell

use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::{
    SinksError,
    books::Sets,
    counters, fail_points,
    ground::Ground,
    isolation, observe, pace,
    proxy::{Fault, Proxy},
    trial::Trial,
};
use crate::{report::Row, scenario::Length, services::Store, wait};

/// A scenario by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinkScenario {
    /// SIGKILL of the processor at random points.
    StoreKills,
    /// SIGKILL between two effects: a store has answered and nobody knows, or is not asked yet.
    FailPoints,
    /// Each store in turn stopped for longer than all attempts of a record.
    StoreOutage,
    /// Connections cut, answers swallowed after the write, and SCRIPT FLUSH all the time.
    StoreFaults,
    /// Redis loses all it has.
    RedisLoss,
    /// Indexes closed to writes for longer than all attempts of a record.
    ReadOnly,
    /// A processor stopped for longer than its session, going on when another has its partitions.
    Zombie,
    /// The highest rate of all stages together.
    Rate,
    /// How soon an attribution is stored while the customer stage is slow.
    Pace,
    /// How soon an attribution is stored while Redis stands still.
    Isolation,
    /// What a flush of many counters needs, and that counters which expire at once are read once.
    Counters,
}

impl SinkScenario {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StoreKills => "store-kills",
            Self::FailPoints => "fail-points",
            Self::StoreOutage => "store-outage",
            Self::StoreFaults => "store-faults",
            Self::RedisLoss => "redis-loss",
            Self::ReadOnly => "read-only",
            Self::Zombie => "zombie",
            Self::Rate => "rate",
            Self::Pace => "pace",
            Self::Isolation => "isolation",
            Self::Counters => "counters",
        }
    }

    /// Whether a part of it says something: a zombie takes two sessions, a loss in the middle needs
    /// more records than the windows of all partitions, and figures need a quiet machine.
    pub(super) fn is_short(self) -> bool {
        match self {
            Self::StoreKills
            | Self::FailPoints
            | Self::StoreOutage
            | Self::StoreFaults
            | Self::ReadOnly => true,
            Self::RedisLoss
            | Self::Zombie
            | Self::Rate
            | Self::Pace
            | Self::Isolation
            | Self::Counters => false,
        }
    }

    /// Half of them on each of the search clusters.
    fn search(self) -> Store {
        match self {
            Self::StoreFaults | Self::RedisLoss | Self::ReadOnly | Self::FailPoints => {
                Store::Opensearch
            }
            Self::StoreKills
            | Self::StoreOutage
            | Self::Zombie
            | Self::Rate
            | Self::Pace
            | Self::Isolation
            | Self::Counters => Store::Elasticsearch,
        }
    }

    /// Carries it out.
    pub(crate) fn run(self, ground: &Ground<'_>, length: Length) -> Result<Row, SinksError> {
        let is_full = length == Length::Full;
        let pick = |short, full| if is_full { full } else { short };
        let trial = |records| Trial::new(ground, self.name(), self.search(), records);
        let usual = pick(8_000, 60_000);
        // Five attempts are over after seven seconds.
        let outage = Duration::from_secs(pick(8, 60).into());
        match self {
            Self::StoreKills => kills(trial(pick(12_000, 240_000))?, pick(3, 60)),
            Self::FailPoints => fail_points::run(trial(pick(12_000, 120_000))?, pick(1, 10)),
            Self::StoreOutage => outages(trial(usual)?, outage),
            Self::StoreFaults => faults(trial(usual)?),
            Self::RedisLoss => redis_loss(trial(120_000)?),
            Self::ReadOnly => read_only(trial(usual)?, outage),
            Self::Zombie => zombie(trial(usual)?),
            Self::Rate => rate(trial(pick(30_000, 200_000))?),
            Self::Pace => pace::pace(ground, Duration::from_secs(pick(20, 60).into())),
            Self::Isolation => isolation::isolation(ground, outage),
            Self::Counters => counters::counters(ground, pick(50_000, 1_000_000)),
        }
    }
}

/// From the first commit to the last.
fn rate(mut trial: Trial<'_>) -> Result<Row, SinksError> {
    let all = trial.records();
    let mut fleet = [trial.start()?];
    trial.await_committed(&mut fleet, 1, |_| Ok(()))?;
    let (started, before, cpu) = (Instant::now(), trial.committed(), fleet[0].cpu()?);
    let redis = &trial.stores().redis;
    let calls = observe::calls(redis, "evalsha")?;
    trial.await_committed(&mut fleet, all, |_| Ok(()))?;
    let millis = started.elapsed().as_millis().max(1);
    let calls = observe::calls(redis, "evalsha")? - calls;
    let records = u128::from(all - before);
    // Of those that were in the window before the first commit, and of the flush, too.
    trial.figure(format!(
        "{} script calls a thousand records in two stages (goal 1100 a stage), {} scripts loaded",
        u128::from(calls) * 1000 / records.max(1),
        observe::calls(redis, "script|load")?
    ));
    let cpu = (fleet[0].cpu()? - cpu).as_millis();
    trial.figure(format!(
        "{} records a second with all stages, {} ms of processor time a thousand records, {} % of \
         one core; the stores share the cores",
        records * 1000 / millis,
        cpu * 1000 / records.max(1),
        cpu * 100 / millis
    ));
    let [processor] = fleet;
    trial.stop(processor)?;
    trial.judge(Sets::Exact)
}

fn kills(mut trial: Trial<'_>, kills: u32) -> Result<Row, SinksError> {
    let slice = trial.records() / u64::from(kills + 1);
    for round in 0..u64::from(kills) {
        let mut fleet = [trial.start()?];
        let point = round * slice + trial.choose(1..slice);
        trial.await_committed(&mut fleet, point, |_| Ok(()))?;
        let [processor] = fleet;
        trial.kill(processor)?;
    }
    finish(trial, Sets::Exact)
}

/// Runs the rest with one more processor and compares.
pub(super) fn finish(mut trial: Trial<'_>, sets: Sets) -> Result<Row, SinksError> {
    let all = trial.records();
    let mut fleet = [trial.start()?];
    trial.await_committed(&mut fleet, all, |_| Ok(()))?;
    let [processor] = fleet;
    trial.stop(processor)?;
    trial.judge(sets)
}

fn outages(mut trial: Trial<'_>, outage: Duration) -> Result<Row, SinksError> {
    let search = Proxy::start(trial.doors.search.clone())?;
    trial.doors.search = search.address();
    let all = trial.records();
    let mut fleet = [trial.start()?];
    let stores = trial.stores();
    trial.await_committed(&mut fleet, all / 8, |_| Ok(()))?;
    for store in [&stores.mongodb, &stores.redis] {
        store.suspend()?;
        let passed = wait::pass(outage);
        store.resume()?;
        passed?;
        trial.disturb();
        let point = trial.committed() + all / 8;
        trial.await_committed(&mut fleet, point.min(all), |_| Ok(()))?;
    }
    search.strike(Fault::Refuse);
    let passed = wait::pass(outage);
    search.heal();
    passed?;
    trial.disturb();
    trial.await_committed(&mut fleet, all, |_| Ok(()))?;
    let [processor] = fleet;
    trial.stop(processor)?;
    trial.judge(Sets::Exact)
}

fn faults(mut trial: Trial<'_>) -> Result<Row, SinksError> {
    let proxies = trial.intercept()?;
    let mut server = observe::connect(&trial.stores().redis)?;
    let all = trial.records();
    let mut fleet = [trial.start()?];
    let mut looks = 0_u64;
    trial.await_committed(&mut fleet, all, |trial| {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut server)?;
        looks += 1;
        if looks.is_multiple_of(10) {
            let proxy = &proxies[usize::try_from(trial.choose(0..3)).unwrap_or(0)];
            let fault = [Fault::Cut, Fault::Swallow][usize::from(trial.choose(0..2) == 1)];
            proxy.strike(fault);
        }
        Ok(())
    })?;
    for proxy in &proxies {
        proxy.heal();
        if proxy.struck() == 0 {
            trial.fault(format!("no fault at {}", proxy.address()));
        }
        (0..proxy.struck()).for_each(|_| trial.disturb());
    }
    let [processor] = fleet;
    trial.stop(processor)?;
    trial.judge(Sets::Exact)
}

/// Between two processors, when all counters are flushed: what was counted since the last flush
/// would be lost with the server, and so are the sets.
fn redis_loss(mut trial: Trial<'_>) -> Result<Row, SinksError> {
    let mut fleet = [trial.start()?];
    let point = trial.choose(1..trial.records() / 4);
    trial.await_committed(&mut fleet, point, |_| Ok(()))?;
    let [processor] = fleet;
    trial.stop(processor)?;
    if trial.committed() >= trial.records() {
        trial.fault("everything was done before the loss");
    }
    let mut server = observe::connect(&trial.stores().redis)?;
    redis::cmd("FLUSHALL").exec(&mut server)?;
    trial.disturb();
    finish(trial, Sets::Lost)
}

fn read_only(mut trial: Trial<'_>, outage: Duration) -> Result<Row, SinksError> {
    let all = trial.records();
    let mut fleet = [trial.start()?];
    trial.await_committed(&mut fleet, all / 4, |_| Ok(()))?;
    let line = format!("PUT /{}-*/_settings", trial.name());
    let search = trial.search();
    search.ask(&line, r#"{"index.blocks.write": true}"#)?;
    trial.disturb();
    let passed = wait::pass(outage);
    let committed = trial.committed();
    search.ask(&line, r#"{"index.blocks.write": null}"#)?;
    passed?;
    if committed >= all {
        trial.fault("everything was done although indexes were read-only");
    }
    trial.await_committed(&mut fleet, all, |_| Ok(()))?;
    let [processor] = fleet;
    trial.stop(processor)?;
    trial.judge(Sets::Exact)
}

/// The broker's session ends after three seconds.
fn zombie(mut trial: Trial<'_>) -> Result<Row, SinksError> {
    let all = trial.records();
    let mut fleet = [trial.start()?, trial.start()?];
    for round in 0..2 {
        let point = trial.committed() + all / 8;
        trial.await_committed(&mut fleet, point.min(all), |_| Ok(()))?;
        fleet[round].suspend()?;
        let passed = wait::pass(Duration::from_secs(6));
        fleet[round].resume()?;
        passed?;
        trial.disturb();
    }
    trial.await_committed(&mut fleet, all, |_| Ok(()))?;
    let [first, second] = fleet;
    trial.stop(first)?;
    trial.stop(second)?;
    trial.judge(Sets::Exact)
}
