//! Three processors of one group that join and leave every few seconds under a steady stream.
//! Layer: shell

use std::time::Duration;

use crate::{
    fleet::Processor,
    oracle::Repeats,
    report::Row,
    rig::{Rig, ScenarioError},
    wait,
};

const PROCESSORS: usize = 3;

/// In each round one processor leaves, cleanly or by SIGKILL in turn, and a new one takes its
/// place a moment later.
pub(super) fn churn(mut rig: Rig<'_>, rounds: u64, per_second: u32) -> Result<Row, ScenarioError> {
    let stream = rig.take_feed()?.stream(per_second);
    let mut fleet = Vec::with_capacity(PROCESSORS);
    for _ in 0..PROCESSORS {
        fleet.push(join(&mut rig)?);
    }
    for round in 0..rounds {
        let slot = usize::try_from(rig.choose(0..PROCESSORS as u64)).unwrap_or(0);
        let leaving = fleet.swap_remove(slot);
        if round % 4 == 3 {
            rig.kill(leaving)?;
        } else {
            rig.stop(leaving)?;
        }
        let absent = rig.choose(200..1_500);
        wait::pass(Duration::from_millis(absent))?;
        fleet.push(join(&mut rig)?);
        fleet.iter_mut().try_for_each(Processor::check_alive)?;
    }
    let records = stream.stop()?;
    rig.streamed(records);
    rig.await_committed(&mut fleet)?;
    while let Some(processor) = fleet.pop() {
        rig.stop(processor)?;
    }
    rig.judge(Repeats::Rebalances)
}

/// Starts one, waits until it owns partitions, and lets it work on the stream for a while.
fn join(rig: &mut Rig<'_>) -> Result<Processor, ScenarioError> {
    rig.disturb();
    let processor = rig.start()?;
    rig.must_have_progressed(&processor);
    let stay = rig.choose(2_000..4_000);
    wait::pass(Duration::from_millis(stay))?;
    Ok(processor)
}
