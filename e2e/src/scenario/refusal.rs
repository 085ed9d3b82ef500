//! The embedded sink's file is locked from outside for longer than `max.poll.interval.ms`.
//! Layer: shell

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::{
    oracle::Repeats,
    report::Row,
    rig::{PARTITIONS, Rig, ScenarioError},
    wait,
};

/// Repeats are not allowed at all: the processor is neither evicted nor restarted, and an effect
/// that was refused had not happened.
pub(super) fn sink_refusal(
    mut rig: Rig<'_>,
    seconds: u64,
    records: u32,
) -> Result<Row, ScenarioError> {
    rig.lay(records)?;
    let mut processor = rig.start()?;
    let point = rig.choose(1..u64::from(records) / 4);
    rig.await_progress(&mut processor, 0, point)?;
    let mut connection = Connection::open(rig.sink_file())?;
    connection.busy_timeout(Duration::from_secs(30))?;
    let lock = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    for _ in 0..seconds {
        wait::pass(Duration::from_secs(1))?;
        processor.check_alive()?;
        let partitions = processor.status().map_or(0, |status| status.partitions);
        if partitions != u64::from(PARTITIONS) {
            rig.fault(Some(format!(
                "{partitions} partitions left while the sink refused"
            )));
            break;
        }
    }
    let refused_at = rig.progress()?;
    lock.rollback()?;
    if refused_at >= u64::from(records) {
        rig.fault(Some(
            "everything was done before the refusal: nothing was refused".to_owned(),
        ));
    }
    rig.must_have_progressed(&processor);
    let mut fleet = [processor];
    rig.await_committed(&mut fleet)?;
    let [processor] = fleet;
    rig.stop(processor)?;
    rig.judge(Repeats::None)
}
