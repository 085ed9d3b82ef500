//! SIGKILL at every point between two effects.
//! Layer: shell
//!
//! Of all that a record does to three stores, each effect is once the last one that is there and
//! not known, and once the first one that is missing. A proxy holds its store's traffic at such a
//! point, then the processor is killed: whatever comes after the point has not happened.

use super::{SinksError, books::Sets, proxy::Way, scenario, trial::Trial};
use crate::report::Row;

/// Passages before a trap springs, at most: connections, batches of records, and flushes.
const PASSAGES: u64 = 60;

/// So many kills at each store and each way.
pub(super) fn run(mut trial: Trial<'_>, rounds: u32) -> Result<Row, SinksError> {
    let proxies = trial.intercept()?;
    for _ in 0..rounds {
        for proxy in &proxies {
            for way in Way::ALL {
                let mut processor = trial.start()?;
                proxy.trap(way, trial.choose(1..PASSAGES));
                trial.await_sprung(&mut processor, proxy)?;
                trial.kill(processor)?;
                proxy.heal();
            }
        }
    }
    scenario::finish(trial, Sets::Exact)
}
