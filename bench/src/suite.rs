//! Which shapes the `engine` command measures.
//! Layer: shell

use crate::{
    engine, pool,
    report::{EngineRow, Report},
    story,
    workload::Skew,
};

/// Unfinished records of one partition: little, usual, the plan's most.
const WINDOWS: [usize; 3] = [512, 8_192, 65_000];

/// Partitions and workers of the whole dispatcher.
const POOLS: [(Skew, u16, usize); 4] = [
    (Skew::Uniform, 1, 8),
    (Skew::Uniform, 12, 8),
    (Skew::Uniform, 12, 64),
    (Skew::Zipf, 12, 8),
];

/// Bursts of story (a).
const BURSTS: usize = 40;

/// Engine alone, whole dispatcher and story (a), without a broker.
#[must_use]
pub fn engine(records: usize, keys: usize, seed: u64) -> Report {
    let shapes = [Skew::Uniform, Skew::Zipf]
        .into_iter()
        .flat_map(|skew| WINDOWS.map(|window| (skew, window)));
    let rows = shapes.map(|(skew, window)| {
        let [ours, published, driver] = engine::measure(engine::Shape {
            keys,
            skew,
            window,
            records,
            seed,
        });
        EngineRow {
            skew,
            window,
            ours,
            published,
            driver,
        }
    });
    let engine = rows.collect();
    let pool = POOLS.map(|(skew, partitions, workers)| {
        let records = i64::try_from(records).expect("offsets fit") / i64::from(partitions);
        let shape = pool::Shape {
            partitions,
            workers,
            keys,
            skew,
            records,
            seed,
        };
        (shape, pool::measure(shape))
    });
    Report {
        engine,
        pool: pool.to_vec(),
        story: story::measure(BURSTS),
    }
}
