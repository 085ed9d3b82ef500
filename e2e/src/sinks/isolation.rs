//! One sink stands still: what needs others does not notice, and nobody leaves the group.
//! Layer: shell

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    SinksError,
    ground::Ground,
    pace::{self, Place, Scene, WARM_UP},
};
use crate::{
    fleet::Processor,
    report::{Row, Verdict},
};

const NAME: &str = "isolation";
/// Records a second: 10,000 a minute.
const PACE: u32 = 167;
/// What the p99 may differ by on a machine that it shares with the stores, milliseconds.
const NOISE: u64 = 20;

/// Before, during and after an outage of Redis, for so long each. Counting and visitors are
/// detached: attributions go on as if nothing were.
pub(super) fn isolation(ground: &Ground<'_>, each: Duration) -> Result<Row, SinksError> {
    let started = Instant::now();
    let scene = Scene::new(ground, (NAME, PACE))?;
    let processor = scene.start()?;
    let mut feeder = scene.feeder()?;
    let warm_up = scene.feed(&mut feeder, WARM_UP)?;
    let before = scene.feed(&mut feeder, each)?;
    let joined = rebalances(&processor)?;
    let redis = &ground.stores.redis;
    redis.suspend()?;
    let during = scene.feed(&mut feeder, each);
    redis.resume()?;
    let (during, resumed) = (during?, Instant::now());
    let after = scene.feed(&mut feeder, each)?;
    let left = rebalances(&processor)? - joined;
    scene.finish(processor)?;
    let caught_up = resumed.elapsed();
    let seen = scene.latencies()?;
    let records = [&warm_up, &before, &during, &after].map(Vec::len);
    let [before, during, after] = [before, during, after].map(|places| p99(&seen, &places));
    let mut faults = Vec::new();
    if seen.len() != records.iter().sum::<usize>() {
        faults.push(format!("{} of {records:?} events came out", seen.len()));
    }
    if left > 0 {
        faults.push(format!("{left} rebalances during and after the outage"));
    }
    if during > 2 * before + NOISE {
        faults.push(format!(
            "p99 was {before} ms and is {during} ms without Redis"
        ));
    }
    let verdict = match faults.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    Ok(Row {
        records: records.iter().sum::<usize>() as u64,
        disturbances: 1,
        violations: faults,
        figures: vec![format!(
            "attribution p99 at {PACE}/s: {before} ms before, {during} ms during and {after} ms \
             after {} s without Redis; all caught up at most {} s after it",
            each.as_secs(),
            caught_up.as_secs()
        )],
        seconds: started.elapsed().as_secs_f64(),
        ..Row::empty(NAME, verdict)
    })
}

fn p99(seen: &BTreeMap<Place, u64>, places: &[Place]) -> u64 {
    let places: BTreeSet<_> = places.iter().collect();
    let all = seen.iter().filter(|(at, _)| places.contains(at));
    let [_, p99, _] = pace::percentiles(all.map(|(_, after)| *after).collect());
    p99
}

fn rebalances(processor: &Processor) -> Result<u64, SinksError> {
    let status = processor.status();
    status
        .map(|status| status.rebalances)
        .ok_or_else(|| SinksError::Laid("no status page".to_owned()))
}
