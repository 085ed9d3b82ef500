//! The scenarios: what is done to the processors while they work.
//! Layer: shell

use std::time::Duration;

use clap::ValueEnum;

use crate::{
    oracle::Repeats,
    pipeline::{Protocol, Template},
    report::{Row, Verdict},
    rig::{Rig, ScenarioError, Shape, Site},
    wait,
};

mod churn;
mod refusal;
mod replay;
mod secured;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// For the scenarios' own test.
    Tiny,
    /// For every change.
    Short,
    /// As promised in the README.
    Full,
}

impl Length {
    /// One of two values.
    fn pick<T>(self, [tiny, short, full]: [T; 3]) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// A scenario by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A backlog laid down before the first processor starts.
    Backlog,
    /// SIGKILL at random points, effects counted in the output topic.
    Kills,
    /// SIGKILL at random points, effects counted in the embedded sink.
    SinkKills,
    /// Three processors joining and leaving, Classic cooperative protocol.
    ChurnClassic,
    /// The same, KIP-848.
    ChurnConsumer,
    /// A clean stop under load, then a restart.
    Sigterm,
    /// A broker stopped with SIGSTOP for longer than the session timeout.
    BrokerStop,
    /// A sink that refuses for longer than `max.poll.interval.ms`.
    SinkRefusal,
    /// SCRAM and TLS listeners, each with a wrong Secret at first.
    Secured,
    /// `penstock replay-dead-letters`, killed at random points.
    Replay,
}

impl Scenario {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Kills => "kills",
            Self::SinkKills => "sink-kills",
            Self::ChurnClassic => "churn-classic",
            Self::ChurnConsumer => "churn-consumer",
            Self::Sigterm => "sigterm",
            Self::BrokerStop => "broker-stop",
            Self::SinkRefusal => "sink-refusal",
            Self::Secured => "secured",
            Self::Replay => "replay",
        }
    }

    fn shape(self) -> Shape {
        let (template, protocol) = match self {
            Self::SinkKills | Self::SinkRefusal => (Template::Embedded, Protocol::Consumer),
            Self::ChurnClassic => (Template::Produce, Protocol::Classic),
            _ => (Template::Produce, Protocol::Consumer),
        };
        Shape {
            name: self.name(),
            template,
            protocol,
            keys: 50_000,
        }
    }

    /// Records by length, tiny first.
    fn records(self) -> [u32; 3] {
        match self {
            Self::Backlog | Self::Kills | Self::Sigterm => [20_000, 100_000, 1_000_000],
            Self::BrokerStop => [20_000, 100_000, 500_000],
            Self::Secured => [10_000, 40_000, 400_000],
            Self::SinkKills => [20_000, 60_000, 300_000],
            Self::SinkRefusal => [20_000, 40_000, 200_000],
            Self::Replay => [2_000, 20_000, 200_000],
            Self::ChurnClassic | Self::ChurnConsumer => [2_000, 5_000, 15_000],
        }
    }

    /// Carries it out; what keeps it from being carried out is a failure, too.
    pub(crate) fn run(self, site: &Site<'_>, length: Length) -> Result<Row, ScenarioError> {
        if matches!(self, Self::BrokerStop | Self::Secured) && !site.broker.is_own() {
            return Ok(Row::empty(self.name(), Verdict::Skipped));
        }
        let rig = Rig::new(site, self.shape())?;
        let records = length.pick(self.records());
        match self {
            Self::Backlog => backlog(rig, records),
            Self::Kills | Self::SinkKills => kills(rig, length.pick([2, 3, 20]), records),
            Self::ChurnClassic | Self::ChurnConsumer => {
                // Here the records are those of a second.
                churn::churn(rig, length.pick([2, 4, 15]), records)
            }
            Self::Sigterm => sigterm(rig, records),
            Self::BrokerStop => broker_stop(rig, length.pick([5, 9, 30]), records),
            Self::SinkRefusal => refusal::sink_refusal(rig, length.pick([5, 15, 60]), records),
            Self::Secured => secured::secured(rig, records),
            Self::Replay => replay::replay(rig, length.pick([1, 5, 60]), records),
        }
    }
}

fn backlog(mut rig: Rig<'_>, records: u32) -> Result<Row, ScenarioError> {
    rig.lay(records)?;
    let processor = rig.start()?;
    rig.must_have_progressed(&processor);
    let mut fleet = [processor];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.stop(processor)?;
    rig.judge(Repeats::None)
}

/// One slice of the records per kill, so that every kill meets a processor at work; the point
/// within the slice is random.
fn kills(mut rig: Rig<'_>, kills: u32, records: u32) -> Result<Row, ScenarioError> {
    let slice = records / (kills + 1);
    for _ in 0..kills {
        let before = rig.progress()?;
        rig.lay(slice)?;
        let mut processor = rig.start()?;
        let point = rig.choose(1..u64::from(slice) * 9 / 10);
        rig.await_progress(&mut processor, before, before + point)?;
        rig.kill(processor)?;
    }
    rig.lay(records - slice * kills)?;
    let mut fleet = [rig.start()?];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.must_have_progressed(&processor);
    rig.stop(processor)?;
    rig.judge(Repeats::Restarts)
}

fn sigterm(mut rig: Rig<'_>, records: u32) -> Result<Row, ScenarioError> {
    rig.lay(records)?;
    let mut processor = rig.start()?;
    let point = rig.choose(1..u64::from(records) / 2);
    rig.await_progress(&mut processor, 0, point)?;
    rig.must_have_progressed(&processor);
    rig.stop(processor)?;
    let stopped_at = rig.progress()?;
    if stopped_at >= u64::from(records) {
        rig.fault(Some(
            "everything was done before the stop: no stop under load".to_owned(),
        ));
    }
    let mut fleet = [rig.start()?];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.must_have_progressed(&processor);
    rig.stop(processor)?;
    rig.judge(Repeats::None)
}

/// The session timeout (3 s) passes meanwhile: the processor may be evicted and must come back.
fn broker_stop(mut rig: Rig<'_>, seconds: u64, records: u32) -> Result<Row, ScenarioError> {
    rig.lay(records / 2)?;
    let mut processor = rig.start()?;
    let point = rig.choose(1..u64::from(records) / 4);
    rig.await_progress(&mut processor, 0, point)?;
    rig.broker().suspend()?;
    rig.disturb();
    let stopped = wait::pass(Duration::from_secs(seconds));
    rig.broker().resume()?;
    stopped?;
    rig.renew_feed()?;
    rig.lay(records - records / 2)?;
    rig.must_have_progressed(&processor);
    let mut fleet = [processor];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.stop(processor)?;
    rig.judge(Repeats::Rebalances)
}
